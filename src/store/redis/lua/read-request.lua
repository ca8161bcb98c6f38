#!lua flags=no-writes
-- The envelope of an event.
--
-- KEYS     below
-- ARGV     1 id
-- RETURNS  nothing when the event is not known; else its state, the envelope, and view and n of what is archived, or nothing
--          each
--@keys meta events envelopes
--@include gate
local packed = redis.call('HGET', EVENTS, ARGV[1])
if not packed then
  return false
end
local archived = redis.call('HMGET', META, 'archivedView', 'archivedN')
return { packed, redis.call('HGET', ENVELOPES, ARGV[1]), archived[1], archived[2] }
