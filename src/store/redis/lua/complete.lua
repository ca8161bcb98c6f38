#!lua flags=allow-oom
-- Complete: a listener's result ends its attempt and, mostly, the event. Each item is checked, then written.
--
-- KEYS     the constant ones below, then the queues `again` of the items
-- ARGV     1–7 head; then for each item: id, ordinal, listener, grant, which of the queues, token, outcome (1 success,
--          2 fail), retry (never, policy, after), ms after which, fingerprint, result
-- RETURNS  whom it wakes, then for each item: {0, status, outcome, reason, retryAt} completed, {1} lease lost,
--          {2} conflict, {3} unknown
--@keys meta events results leasedUntil delayed settled outbox
--@include gate
--@include head
--@include record
--@include wake
--@include state
--@include attempt
local FIELDS = 11

-- How the event stood when the attempt had ended.
local function standing(attempt)
  if attempt[END] == RETRIED then
    return { 0, IN_PROCESS, 0, 0, attempt[RETRY_AT] }
  end
  if attempt[END] == DEAD then
    return { 0, COMPLETE, FAIL, BY_ATTEMPTS, 0 }
  end
  return { 0, COMPLETE, attempt[END_OUTCOME], attempt[END_REASON], 0 }
end

-- The lease is lost. What its holder has to say changes nothing; the first such word is kept for people.
local function keepLate(item, state, delivery, attempt)
  local id, listener = item.id, item.listener
  local overdue = attempt[END] == LIVE and leaseExpired(delivery)
  if overdue then
    expireLease(id, state, listener, delivery, item.queue, false)
  end
  local own = attempt[TOKEN] == item.token and attempt[LATE_AT] == 0
  if own then
    record('L', now, id, state[TYPE], listener, attempt[GRANT], item.fingerprint)
    redis.call('HSET', RESULTS, id .. '.' .. listener .. '.' .. attempt[GRANT] .. '.late', item.result)
    attempt[LATE_AT] = now
    if state[STATUS] == COMPLETE then
      state[LAST_VIEW] = view
      state[LAST_N] = n
    end
    state[VERSION] = state[VERSION] + 1
    wakeEvent(id)
  end
  if overdue or own then
    saveState(id, state)
  end
  return { 1 }
end

local function finish(item, state, delivery, attempt, outcome, reason)
  record('C', now, item.id, state[TYPE], item.listener, attempt[GRANT], outcome, reason, item.fingerprint)
  endAttempt(item.id, state, item.listener, attempt, COMPLETED)
  attempt[END_OUTCOME] = outcome
  attempt[END_REASON] = reason
  delivery[STATE] = ENDED
  completeEvent(item.id, state, outcome, reason)
  state[RESULT] = attempt[GRANT]
end

local function die(item, state, delivery, attempt)
  record('D', now, item.id, state[TYPE], item.listener, attempt[GRANT], 1, item.fingerprint)
  endAttempt(item.id, state, item.listener, attempt, DEAD)
  delivery[STATE] = ENDED
  completeEvent(item.id, state, FAIL, BY_ATTEMPTS)
  state[RESULT] = attempt[GRANT]
end

local function retry(item, state, delivery, attempt)
  local waitMs = item.afterMs
  if item.retry == 'policy' then
    waitMs = backoffMs(item.id, state, item.listener, delivery)
  end
  record('R', now, item.id, state[TYPE], item.listener, attempt[GRANT], 1, now + waitMs, item.fingerprint)
  endAttempt(item.id, state, item.listener, attempt, RETRIED)
  attempt[RETRY_AT] = now + waitMs
  waitUntil(item.id, state, item.listener, delivery, now + waitMs, item.queue)
end

local function complete(item)
  local state, delivery, attempt = findAttempt(item.id, item.ordinal, item.listener, item.grant)
  if not state then
    return { 3 }
  end
  -- Before the token: a repeat whose first try was heard gets the first answer, whatever has happened since.
  if attempt[FINGERPRINT] then
    if attempt[FINGERPRINT] ~= item.fingerprint then
      return { 2 }
    end
    return standing(attempt)
  end
  if not holdsLease(delivery, attempt, item.token) then
    return keepLate(item, state, delivery, attempt)
  end

  if item.outcome == SUCCESS then
    finish(item, state, delivery, attempt, SUCCESS, 0)
  elseif item.retry == 'never' then
    finish(item, state, delivery, attempt, FAIL, BY_LISTENER)
  elseif state[CANCEL_REQUESTED] == 1 then
    -- Somebody asked to cancel the event: the next attempt is the one it will not have.
    finish(item, state, delivery, attempt, FAIL, BY_CANCEL)
  elseif delivery[ATTEMPT] >= ATTEMPTS_MAX then
    die(item, state, delivery, attempt)
  else
    retry(item, state, delivery, attempt)
  end
  attempt[FINGERPRINT] = item.fingerprint
  redis.call('HSET', RESULTS, item.id .. '.' .. item.listener .. '.' .. item.grant, item.result)
  saveState(item.id, state)
  return standing(attempt)
end

local answers = {}
for first = FIRST, #ARGV, FIELDS do
  answers[#answers + 1] = complete({
    id = ARGV[first],
    ordinal = tonumber(ARGV[first + 1]),
    listener = tonumber(ARGV[first + 2]),
    grant = tonumber(ARGV[first + 3]),
    queue = KEYS[CONSTANT_KEYS + tonumber(ARGV[first + 4])],
    token = ARGV[first + 5],
    outcome = tonumber(ARGV[first + 6]),
    retry = ARGV[first + 7],
    afterMs = tonumber(ARGV[first + 8]),
    fingerprint = ARGV[first + 9],
    result = ARGV[first + 10],
  })
end
noteRecords()
return { wakeAll(), unpack(answers) }
