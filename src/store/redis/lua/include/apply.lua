-- What a record means: the change that it makes to the state, as `apply` in src/event makes it. The transitions come here
-- once they have recorded what they decided; a recovery comes with records of the log. States are saved by the caller.
--
-- Needs now (the record's time), view and n (its position), declared, wake, state, META, POLICIES, RESULTS, LEASED_UNTIL,
-- DELAYED, HELD, KEYED, SETTLED, SETTLED_OWN, OPEN and DEADLINES.
--@include unarchived
--@include settled
--@include keyed

-- How a delivery is named in the sets of a partition.
local function memberOf(id, state, listener)
  return id .. '.' .. state[TYPE] .. '.' .. listener
end

-- Counts one delivery more or less of a listener under that letter, see tally.lua.
local function tallyOf(state, listener, letter, by)
  tally(state[TYPE] .. '.' .. listener .. letter, by)
end

-- A delivery that waits will not: it is taken from those that are delayed, else an entry stays behind, in a queue or, until
-- `removeHeld`, among those that are held. Who waits behind others of its ordering key has no entry.
local function endWait(id, state, listener, isBehind)
  if isBehind then
    tallyOf(state, listener, 'D', -1)
    return
  end
  local wasDelayed = redis.call('ZREM', DELAYED, memberOf(id, state, listener)) == 1
  tallyOf(state, listener, wasDelayed and 'D' or 'X', wasDelayed and -1 or 1)
end

-- Of an event that has ended before it was archived.
local function removeHeld(id, state, listener)
  if redis.call('ZREM', HELD, memberOf(id, state, listener)) == 1 then
    tallyOf(state, listener, 'D', -1)
    tallyOf(state, listener, 'X', -1)
  end
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
  local delivery = deliveryOf(state, listener)
  if not delivery then
    return nil
  end
  return state, delivery, attemptOf(delivery, grant)
end

-- A record of an event that is complete is its last so far.
local function noteLast(state)
  if state[STATUS] == COMPLETE then
    state[LAST_VIEW] = view
    state[LAST_N] = n
  end
end

-- Of the three steps when an attempt ends: it has ended …
local function endAttempt(id, state, listener, attempt, how, op, mark)
  attempt[ENDED_AT] = now
  attempt[END] = how
  if listenerAt(state, 1) ~= listener then
    attempt[EMITTED] = attempt[EMITTED] or false
    attempt[ASIDE] = state[STATUS] == COMPLETE and 2 or 1
  end
  noteLast(state)
  state[VERSION] = state[VERSION] + 1
  redis.call('ZREM', LEASED_UNTIL, memberOf(id, state, listener))
  tallyOf(state, listener, 'L', -1)
  wakeEvent(id)
  if state[UNARCHIVED] then
    noteUnarchived(state, op, attempt[GRANT], listener, mark)
  end
end

-- An event that is complete may leave once all of its deliveries have ended.
local function settle(id, state)
  if state[STATUS] ~= COMPLETE or state[SETTLED_AT] then
    return
  end
  for _, delivery in ipairs(state[DELIVERIES]) do
    if delivery[STATE] ~= ENDED then
      return
    end
  end
  if state[RECEIVERS] then
    state[SETTLED_AT] = now
    state[SETTLED_VIEW] = view
    state[SETTLED_N] = n
  end
  noteSettled(id, state[TYPE], now, view, n)
  local root = rootOf(state)
  if root then
    moveInTree(root, LIVE_IN_TREE, nil, state[UNARCHIVED])
  end
end

-- A delivery of an event with an ordering key has ended. If it was the head, the next waits until its event is archived, or
-- until whoever looks for what is due finds it, as they do before every lease: so no queue need be known. Gives whether it
-- was behind others itself.
local function leaveKey(id, state, listener)
  local ordinal, key = state[TYPE], state[KEY]
  local own = keyedMember(ordinal, listener, key, state[SEQUENCE], id)
  local oldest = oldestOfKey(ordinal, listener, key, 2)
  redis.call('ZREM', KEYED, own)
  if oldest[1] ~= own or not oldest[2] then
    return oldest[1] ~= own
  end
  local next = idInKeyed(oldest[2])
  local other = loadState(next)
  if other[UNARCHIVED] and isUnarchived(other[VIEW], other[N]) then
    redis.call('ZADD', HELD, other[SEQUENCE], memberOf(next, other, listener))
  else
    redis.call('ZADD', DELAYED, 0, memberOf(next, other, listener))
    wakeQueue(ordinal, listener)
  end
  return false
end

-- Nobody may lease it any more. Gives whether it has waited behind others of its ordering key.
local function setEnded(id, state, listener, delivery)
  delivery[STATE] = ENDED
  return state[KEY] and leaveKey(id, state, listener)
end

-- … its delivery waits, until it is due or in `queue`, the one of those that come back; without a queue the event ends
-- with the next record. When somebody asked to cancel the event it waits no more …
local function waitUntil(id, state, listener, delivery, dueAt, queue)
  if state[CANCEL_REQUESTED] == 1 then
    setEnded(id, state, listener, delivery)
    settle(id, state)
    return
  end
  delivery[STATE] = WAITING
  if not queue then
    tallyOf(state, listener, 'X', -1)
    return
  end
  if dueAt > now then
    redis.call('ZADD', DELAYED, dueAt, memberOf(id, state, listener))
    tallyOf(state, listener, 'D', 1)
  else
    redis.call('ZADD', queue, state[SEQUENCE], id)
    wakeQueue(state[TYPE], listener)
  end
end

-- … or its event is complete, by the record that was made last.
local function completeEvent(id, state, outcome, reason)
  local root = rootOf(state)
  if root then
    local before = state[STATUS] == PENDING and AS_PENDING or AS_IN_PROCESS
    moveInTree(root, before, outcome == SUCCESS and AS_SUCCESS or AS_FAIL, state[UNARCHIVED])
  end
  state[STATUS] = COMPLETE
  state[OUTCOME] = outcome
  state[REASON] = reason
  state[COMPLETED_AT] = now
  state[ENDED_VIEW] = view
  state[ENDED_N] = n
  tally(state[TYPE], -1)
  if state[DEADLINE_AT] then
    redis.call('ZREM', DEADLINES, id)
  end
end

-- The event ends as the delivery has ended; one that ended without an attempt's end was cancelled.
local function completeAs(id, state, listener, delivery)
  local attempt = #delivery >= ATTEMPTS and delivery[#delivery]
  local how = attempt and attempt[END]
  if how == COMPLETED then
    completeEvent(id, state, attempt[END_OUTCOME], attempt[END_REASON])
  elseif how == DEAD or (how == EXPIRED and attempt[RETRY_AT] == 0) then
    completeEvent(id, state, FAIL, BY_ATTEMPTS)
  else
    completeEvent(id, state, FAIL, BY_CANCEL)
    return
  end
  if attempt[FINGERPRINT] then
    state[RESULT] = resultName(listener, attempt[GRANT])
  end
end

-- The responder's end is the event's.
local function endDelivery(id, state, listener, delivery)
  setEnded(id, state, listener, delivery)
  if listenerAt(state, 1) == listener then
    completeAs(id, state, listener, delivery)
  end
  settle(id, state)
end

local function endWaiting(id, state)
  for place, delivery in ipairs(state[DELIVERIES]) do
    if delivery[STATE] == WAITING then
      local listener = listenerAt(state, place)
      endWait(id, state, listener, setEnded(id, state, listener, delivery))
    end
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
  attempt[EMITTED] = emitted or attempt[EMITTED]
  keepResult(id, listener, attempt, fingerprint, result)
  endDelivery(id, state, listener, delivery)
end

local function applyDead(id, state, listener, delivery, attempt, why, fingerprint, result)
  endAttempt(id, state, listener, attempt, why == 0 and EXPIRED or DEAD, 'D')
  keepResult(id, listener, attempt, fingerprint, result)
  endDelivery(id, state, listener, delivery)
end

local function applyCancelRequested(id, state)
  state[CANCEL_REQUESTED] = 1
  -- Who works on it is asked, and nobody begins.
  endWaiting(id, state)
  state[VERSION] = state[VERSION] + 1
  wakeEvent(id)
  if state[UNARCHIVED] then
    noteUnarchived(state, 'Q', 0)
  end
end

-- Nobody holds it any more, or whoever does is left to it. `reason` is BY_CANCEL or BY_DEADLINE.
local function endUnworked(id, state, reason)
  endWaiting(id, state)
  state[VERSION] = state[VERSION] + 1
  completeEvent(id, state, FAIL, reason)
  settle(id, state)
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
    noteUnarchived(state, 'L', grant, listener)
  end
  noteLast(state)
  if attempt then
    redis.call('HSET', RESULTS, id .. '.' .. listener .. '.' .. attempt[GRANT] .. '.late', result)
    attempt[LATE_AT] = now
  end
end

-- A delivery ends because its listener was deleted. `responder` is the listener whose delivery is the responder's from now
-- on, false when there is none left, and nil when it stays who it was.
local function applyUnsubscribed(id, state, listener, grant, responder)
  local place = placeOf(state, listener)
  local delivery = state[DELIVERIES][place]
  local mark = responder ~= nil and 'R' or ''
  if delivery[STATE] == LEASED then
    endAttempt(id, state, listener, delivery[#delivery], UNSUBSCRIBED, 'N', mark)
    setEnded(id, state, listener, delivery)
  else
    endWait(id, state, listener, setEnded(id, state, listener, delivery))
    noteLast(state)
    state[VERSION] = state[VERSION] + 1
    wakeEvent(id)
    if state[UNARCHIVED] then
      noteUnarchived(state, 'N', grant, listener, mark)
    end
  end
  if responder == false then
    completeEvent(id, state, FAIL, BY_NOBODY)
  elseif responder then
    local next = placeOf(state, responder)
    table.insert(state[DELIVERIES], 1, table.remove(state[DELIVERIES], next))
    local ordinals = { responder }
    for _, ordinal in ipairs(receiversIn(state[RECEIVERS])) do
      ordinals[#ordinals + 1] = ordinal ~= responder and ordinal or nil
    end
    state[RECEIVERS] = table.concat(ordinals, ' ')
    if state[DELIVERIES][1][STATE] == ENDED then
      completeAs(id, state, responder, state[DELIVERIES][1])
    end
  end
  settle(id, state)
end
