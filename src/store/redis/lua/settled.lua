#!lua flags=no-writes
-- Events that may leave: settled for long enough, and all of their records archived; the longest settled first.
--
-- KEYS     below
-- ARGV     1 ms since they were settled, at least, unless their type says otherwise, 2 how many to look at, 3 most bytes, 4 how
--          many to pass over, 5 nothing, or of which type (or the next that there is) those that have a retention of their own
-- RETURNS  the ordinal of that type, -1 when there is none; how many were looked at, 0 when none behind them may leave; for each event: id, state, then for each attempt of each delivery its result, unless it is the event's own,
--          and its late result, or nothing for what there is not;
--          the version of the listeners
--@keys meta policies events envelopes results settled settledOwn
--@include gate
--@include state
--@include archived
local RETENTION_MS = tonumber(ARGV[1])
local BYTES_MAX = tonumber(ARGV[3])
local bytes = 0

local function bodiesOf(id, state, answer)
  for place, delivery in ipairs(state[DELIVERIES]) do
    local listener = listenerAt(state, place)
    for at = ATTEMPTS, #delivery do
      local attempt = delivery[at]
      local field = id .. '.' .. listener .. '.' .. attempt[GRANT]
      local own = resultName(listener, attempt[GRANT]) == state[RESULT]
      local result = attempt[FINGERPRINT] and not own and redis.call('HGET', RESULTS, field)
      local late = attempt[LATE_AT] ~= 0 and redis.call('HGET', RESULTS, field .. '.late')
      answer[#answer + 1] = result
      answer[#answer + 1] = late
      bytes = bytes + (result and #result or 0) + (late and #late or 0)
    end
  end
end

-- Ids of one type, of those that are in SETTLED_OWN and may leave by their time; and which type that is.
local function ownIds(from)
  local first = redis.call('ZRANGE', SETTLED_OWN, '[' .. string.format('%07.0f:', from), '+', 'BYLEX', 'LIMIT', 0, 1)[1]
  if not first then
    return {}, -1
  end
  local prefix = string.match(first, '^%d+:')
  local ordinal = tonumber(string.match(prefix, '%d+'))
  local rules = redis.call('HGET', POLICIES, ordinal)
  local latest = now - (rules and cjson.decode(rules).retentionMs or RETENTION_MS)
  local last = '(' .. prefix .. string.format('%015.0f;', math.max(0, latest))
  local ids = redis.call('ZRANGE', SETTLED_OWN, '[' .. prefix, last, 'BYLEX', 'LIMIT', ARGV[4], ARGV[2])
  for index, member in ipairs(ids) do
    ids[index] = string.match(member, '[^:]+$')
  end
  return ids, ordinal
end

local answers = {}
local ids, typeOrdinal, youngest = nil, -1, math.huge
if ARGV[5] == '' then
  ids = redis.call('LRANGE', SETTLED, ARGV[4], ARGV[4] + ARGV[2] - 1)
  youngest = now - RETENTION_MS
else
  ids, typeOrdinal = ownIds(tonumber(ARGV[5]))
end
local looked = #ids
local states = #ids > 0 and redis.call('HMGET', EVENTS, unpack(ids)) or {}
for index, id in ipairs(ids) do
  local state = states[index] and unpackState(states[index])
  if state and (state[SETTLED_AT] or state[COMPLETED_AT]) > youngest then
    looked = 0
    break
  end
  if state and isArchived(state) then
    local answer = { id, states[index] }
    bytes = bytes + #states[index]
    bodiesOf(id, state, answer)
    if bytes > BYTES_MAX and #answers > 0 then
      looked = index - 1
      break
    end
    answers[#answers + 1] = answer
  end
end
return { typeOrdinal, looked, answers, listenersVersion }
