-- What a record means: the change that it makes to the state, as `apply` in src/event makes it. The transitions come here
-- once they have recorded what they decided; a recovery comes with records of the log. States are saved by the caller.
--
-- Needs now (the record's time), view and n (its position), wake, state, META, RESULTS, LEASED_UNTIL,
-- DELAYED, SETTLED, OPEN and DEADLINES.
--@include unarchived

-- How a delivery is named in the sets of a partition.
local function memberOf(id, state, listener)
  return id .. '.' .. state[TYPE] .. '.' .. listener
end

-- The id in the name of a delivery.
local function idOf(member)
  return string.match(member, '^[^.]+')
end

local function attemptOf(delivery, grant)
  local newest = delivery[#delivery]
  if #delivery < ATTEMPTS then
    return nil
  end
  -- Grants count up by one, so the place follows from the newest.
  local place = #delivery - (newest[GRANT] - grant)
  return place >= ATTEMPTS and delivery[place] or nil
end

-- The event, the delivery and the attempt that an attempt's id names, or nil.
local function findAttempt(id, typeOrdinal, listener, grant)
  local state = loadState(id)
  if not state or state[TYPE] ~= typeOrdinal then
    return nil
  end
  local delivery = state[DELIVERIES][listener + 1]
  if not delivery then
    return nil
  end
  return state, delivery, attemptOf(delivery, grant)
end

-- Of the three steps when an attempt ends: it has ended …
local function endAttempt(id, state, listener, attempt, how, op)
  attempt[ENDED_AT] = now
  attempt[END] = how
  state[VERSION] = state[VERSION] + 1
  redis.call('ZREM', LEASED_UNTIL, memberOf(id, state, listener))
  wakeEvent(id)
  if state[UNARCHIVED] then
    noteUnarchived(state, op, attempt[GRANT])
  end
end

-- … its delivery waits, until it is due or in `queue`, the one of those that come back; without a queue the event ends
-- with the next record …
local function waitUntil(id, state, listener, delivery, dueAt, queue)
  delivery[STATE] = WAITING
  if not queue then
    return
  end
  if dueAt > now then
    redis.call('ZADD', DELAYED, dueAt, memberOf(id, state, listener))
  else
    redis.call('ZADD', queue, state[SEQUENCE], id)
    wakeQueue(state[TYPE], listener)
  end
end

-- … or its event is complete, by the record that was made last.
local function completeEvent(id, state, outcome, reason)
  state[STATUS] = COMPLETE
  state[OUTCOME] = outcome
  state[REASON] = reason
  state[COMPLETED_AT] = now
  state[ENDED_VIEW] = view
  state[ENDED_N] = n
  redis.call('RPUSH', SETTLED, id)
  redis.call('HINCRBY', OPEN, state[TYPE], -1)
  if state[DEADLINE_AT] then
    redis.call('ZREM', DEADLINES, id)
  end
end

local function keepResult(id, listener, attempt, fingerprint, result)
  attempt[FINGERPRINT] = fingerprint
  if fingerprint then
    redis.call('HSET', RESULTS, id .. '.' .. listener .. '.' .. attempt[GRANT], result)
  end
end

local function applyHandedBack(id, state, listener, delivery, attempt, queue)
  endAttempt(id, state, listener, attempt, HANDED_BACK, 'H')
  delivery[ATTEMPT] = delivery[ATTEMPT] - 1
  waitUntil(id, state, listener, delivery, now, queue)
end

-- `why` is 0 when the lease expired and 1 when the listener failed, who then left a result.
local function applyRetried(id, state, listener, delivery, attempt, why, dueAt, fingerprint, queue, result)
  endAttempt(id, state, listener, attempt, why == 0 and EXPIRED or RETRIED, 'R')
  attempt[RETRY_AT] = dueAt
  keepResult(id, listener, attempt, fingerprint, result)
  waitUntil(id, state, listener, delivery, dueAt, queue)
end

-- `emitted` is nothing, or the ids of what the completion emitted.
local function applyCompleted(id, state, listener, delivery, attempt, outcome, reason, fingerprint, result, emitted)
  endAttempt(id, state, listener, attempt, COMPLETED, 'C')
  attempt[END_OUTCOME] = outcome
  attempt[END_REASON] = reason
  attempt[EMITTED] = emitted
  keepResult(id, listener, attempt, fingerprint, result)
  delivery[STATE] = ENDED
  completeEvent(id, state, outcome, reason)
  state[RESULT] = attempt[GRANT]
end

local function applyDead(id, state, listener, delivery, attempt, why, fingerprint, result)
  endAttempt(id, state, listener, attempt, why == 0 and EXPIRED or DEAD, 'D')
  keepResult(id, listener, attempt, fingerprint, result)
  delivery[STATE] = ENDED
  completeEvent(id, state, FAIL, BY_ATTEMPTS)
  if fingerprint then
    state[RESULT] = attempt[GRANT]
  end
end

local function applyCancelRequested(id, state)
  state[CANCEL_REQUESTED] = 1
  state[VERSION] = state[VERSION] + 1
  wakeEvent(id)
  if state[UNARCHIVED] then
    noteUnarchived(state, 'Q', 0)
  end
end

-- Nobody holds it any more. `reason` is BY_CANCEL or BY_DEADLINE.
local function endUnworked(id, state, reason)
  for listener, delivery in ipairs(state[DELIVERIES]) do
    delivery[STATE] = ENDED
    redis.call('ZREM', DELAYED, memberOf(id, state, listener - 1))
  end
  state[VERSION] = state[VERSION] + 1
  completeEvent(id, state, FAIL, reason)
  wakeEvent(id)
  if state[UNARCHIVED] then
    noteUnarchived(state, reason == BY_CANCEL and 'X' or 'E', 0)
  end
end

-- An attempt that is not kept any more has no place for it.
local function applyLate(id, state, listener, grant, attempt, result)
  state[VERSION] = state[VERSION] + 1
  wakeEvent(id)
  if state[UNARCHIVED] then
    noteUnarchived(state, 'L', grant)
  end
  if state[STATUS] == COMPLETE then
    state[LAST_VIEW] = view
    state[LAST_N] = n
  end
  if attempt then
    redis.call('HSET', RESULTS, id .. '.' .. listener .. '.' .. attempt[GRANT] .. '.late', result)
    attempt[LATE_AT] = now
  end
end
