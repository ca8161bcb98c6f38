#!lua flags=no-writes
-- How events stand.
--
-- KEYS     below
-- ARGV     ids
-- RETURNS  for each id: its state, or nothing; the result that it ended with, or nothing. When one of them has `archive`
--          durability, view and n of what is archived come behind, or nothing each
--@keys meta events envelopes results
--@include gate
--@include state

local answers = {}
local archives = false
for index, packed in ipairs((packedStates(ARGV))) do
  answers[2 * index - 1] = packed
  -- A beginning has no result, and nothing else to look at.
  local state = packed and not isBeginning(packed) and cmsgpack.unpack(packed)
  local result = state and state[RESULT] ~= 0 and state[RESULT]
  local name = type(result) == 'number' and '0.' .. result or result
  archives = archives or (state and state[UNARCHIVED])
  answers[2 * index] = name and redis.call('HGET', RESULTS, ARGV[index] .. '.' .. name)
end
if archives then
  local archived = redis.call('HMGET', META, 'archivedView', 'archivedN')
  answers[2 * #ARGV + 1], answers[2 * #ARGV + 2] = archived[1], archived[2]
end
return answers
