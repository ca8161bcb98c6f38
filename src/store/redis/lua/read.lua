#!lua flags=no-writes
-- How events stand.
--
-- KEYS     below
-- ARGV     ids
-- RETURNS  for each id: its state, or nothing; the result that it ended with, or nothing. When one of them has `archive`
--          durability, view and n of what is archived come behind, or nothing each
--@keys meta events envelopes results
--@include gate
--@include beginning

-- Whether a state has a note of what is not archived, see UNARCHIVED in include/state.lua: the fifth place behind the
-- deliveries, of which there are none with a bracket.
local function hasNotes(packed)
  local rest = string.match(packed, '%]([^%]]*)%]$')
  return rest and string.find(rest, '^,[^,]*,[^,]*,[^,]*,[^,]*,"')
end

local answers = {}
local archives = false
for index, packed in ipairs((packedStates(ARGV))) do
  answers[2 * index - 1] = packed
  archives = archives or (packed and hasNotes(packed))
  -- The state begins with the attempt whose result is the event's: its grant, or listener and grant.
  local grant = packed and string.match(packed, '^%[(%d+)')
  local other = packed and not grant and string.match(packed, '^%["([%d.]+)')
  local name = other or (grant and grant ~= '0' and '0.' .. grant)
  answers[2 * index] = name and redis.call('HGET', RESULTS, ARGV[index] .. '.' .. name)
end
if archives then
  local archived = redis.call('HMGET', META, 'archivedView', 'archivedN')
  answers[2 * #ARGV + 1], answers[2 * #ARGV + 2] = archived[1], archived[2]
end
return answers
