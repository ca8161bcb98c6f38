#!lua flags=no-writes
-- Events that may leave: complete for long enough, and all of their records archived; the longest complete first.
--
-- KEYS     below
-- ARGV     1 ms since they were completed, at least, 2 how many to look at, 3 most bytes, 4 how many to pass over
-- RETURNS  how many were looked at, 0 when none behind them may leave, and for each event: id, state, then for each attempt of each delivery its result, unless it is the event's own,
--          and its late result, or nothing for what there is not
--@keys meta events results settled
--@include gate
--@include state
--@include archived
local YOUNGEST = now - tonumber(ARGV[1])
local BYTES_MAX = tonumber(ARGV[3])
local bytes = 0

local function bodiesOf(id, state, answer)
  for listener, delivery in ipairs(state[DELIVERIES]) do
    for place = ATTEMPTS, #delivery do
      local attempt = delivery[place]
      local field = id .. '.' .. (listener - 1) .. '.' .. attempt[GRANT]
      local own = listener == 1 and attempt[GRANT] == state[RESULT]
      local result = attempt[FINGERPRINT] and not own and redis.call('HGET', RESULTS, field)
      local late = attempt[LATE_AT] ~= 0 and redis.call('HGET', RESULTS, field .. '.late')
      answer[#answer + 1] = result
      answer[#answer + 1] = late
      bytes = bytes + (result and #result or 0) + (late and #late or 0)
    end
  end
end

local answers = {}
local ids = redis.call('LRANGE', SETTLED, ARGV[4], ARGV[4] + ARGV[2] - 1)
local looked = #ids
local states = #ids > 0 and redis.call('HMGET', EVENTS, unpack(ids)) or {}
for index, id in ipairs(ids) do
  local state = states[index] and unpackState(states[index])
  if state and state[COMPLETED_AT] > YOUNGEST then
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
return { looked, answers }
