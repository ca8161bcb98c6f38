#!lua flags=no-writes
-- How events stand.
--
-- KEYS     below
-- ARGV     ids
-- RETURNS  for each id: its state, or nothing; the result that it ended with, or nothing. When one of them has `archive`
--          durability, view and n of what is archived come behind, or nothing each
--@keys meta events results
--@include gate
local answers = {}
local archives = false
for index, packed in ipairs(redis.call('HMGET', EVENTS, unpack(ARGV))) do
  answers[2 * index - 1] = packed
  -- Of those only the state ends with a string.
  archives = archives or (packed and string.byte(packed, -2) == 34)
  -- The state begins with the grant whose result is the event's.
  local grant = packed and string.match(packed, '^%[(%d+)')
  answers[2 * index] = grant and grant ~= '0' and redis.call('HGET', RESULTS, ARGV[index] .. '.0.' .. grant)
end
if archives then
  local archived = redis.call('HMGET', META, 'archivedView', 'archivedN')
  answers[2 * #ARGV + 1], answers[2 * #ARGV + 2] = archived[1], archived[2]
end
return answers
