#!lua flags=no-writes
-- The attempts of an event, with their bodies.
--
-- KEYS     below
-- ARGV     1 id
-- RETURNS  nothing when the event is not known; else its state, view and n of what is archived, the version of the listeners, then for each attempt of each
--          delivery its result and its late result, or nothing for what there is not
--@keys meta events envelopes results
--@include gate
--@include state
local id = ARGV[1]
local packed = packedState(id)
if not packed then
  return false
end
local archived = redis.call('HMGET', META, 'archivedView', 'archivedN')
local answer = { packed, archived[1], archived[2], listenersVersion }
local state = unpackState(packed)
for place, delivery in ipairs(state[DELIVERIES]) do
  local listener = listenerAt(state, place)
  for at = ATTEMPTS, #delivery do
    local attempt = delivery[at]
    local field = id .. '.' .. listener .. '.' .. attempt[GRANT]
    answer[#answer + 1] = attempt[FINGERPRINT] and redis.call('HGET', RESULTS, field)
    answer[#answer + 1] = attempt[LATE_AT] ~= 0 and redis.call('HGET', RESULTS, field .. '.late')
  end
end
return answer
