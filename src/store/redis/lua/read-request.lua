#!lua flags=no-writes
-- The envelope of an event.
--
-- KEYS     below
-- ARGV     1 id
-- RETURNS  nothing when the event is not known; else its state, what stands for it in ENVELOPES, and view and n of what is archived, or nothing
--          each
--@keys meta events envelopes
--@include gate
--@include beginning
local entry = redis.call('HGET', ENVELOPES, ARGV[1])
local packed = entry and (redis.call('HGET', EVENTS, ARGV[1]) or beginningIn(entry))
if not packed then
  return false
end
local archived = redis.call('HMGET', META, 'archivedView', 'archivedN')
return { packed, entry, archived[1], archived[2] }
