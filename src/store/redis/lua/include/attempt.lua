-- What the operations on an attempt share: judging its lease, and deciding how it ends.
--
-- Needs gate, head, record, wake, state, and what apply and policy need; HELD where events end by their deadline.
--@include apply
--@include policy

local function leaseExpired(delivery)
  return delivery[EXPIRES_AT] <= now or delivery[EXPIRES_AT] - now > LEASE_MS_MAX
end

local function deadlineHasPassed(state)
  return state[DEADLINE_AT] and state[DEADLINE_AT] <= now and state[STATUS] ~= COMPLETE
end

-- The lease of a delivery that is leased is over, and with it the event perhaps.
local function isOver(state, delivery)
  return leaseExpired(delivery) or deadlineHasPassed(state)
end

local function holdsLease(state, delivery, attempt, token)
  return attempt[END] == LIVE and attempt[TOKEN] == token and not isOver(state, delivery)
end

-- Must give what backoffMs in policy.ts gives, digit for digit.
local function backoffMs(id, state, listener, delivery)
  local policy = policyOf(state[TYPE])
  local full = policy.backoffFirstMs
  local k = 1
  while k < delivery[ATTEMPT] and full < policy.backoffMsMax do
    full = full * policy.backoffFactor
    k = k + 1
  end
  full = math.min(full, policy.backoffMsMax)
  local attemptId = memberOf(id, state, listener) .. '.' .. delivery[GRANTS]
  local chance = tonumber(string.sub(redis.sha1hex(attemptId), 1, 8), 16) / 4294967296
  return math.floor(full * (1 - policy.backoffJitter * chance))
end

-- Ends an event that nobody holds; its attempts have ended.
local function cancelEvent(id, state)
  record('X', now, id, state[TYPE])
  endUnworked(id, state, BY_CANCEL)
end

-- Somebody asked to cancel the event, and nobody works on its responder's delivery any more.
local function cancelIfResponder(id, state, listener)
  if listenerAt(state, 1) == listener and state[STATUS] ~= COMPLETE then
    cancelEvent(id, state)
  end
end

-- Ends an expired lease: it counts as an attempt, so the delivery is retried after its backoff or dead. Without a queue
-- the event is being cancelled, and nothing waits any more.
local function expireLease(id, state, listener, delivery, queue)
  local attempt = delivery[#delivery]
  local grant = delivery[GRANTS]
  if state[CANCEL_REQUESTED] == 0 and delivery[ATTEMPT] >= policyOf(state[TYPE]).attemptsMax then
    record('D', now, id, state[TYPE], listener, grant, 0, false)
    applyDead(id, state, listener, delivery, attempt, 0, false)
    return
  end
  local dueAt = now
  local cancelling = state[CANCEL_REQUESTED] == 1
  if not cancelling then
    dueAt = now + backoffMs(id, state, listener, delivery)
  end
  record('R', now, id, state[TYPE], listener, grant, 0, dueAt, false)
  applyRetried(id, state, listener, delivery, attempt, 0, dueAt, false, queue)
  if cancelling then
    cancelIfResponder(id, state, listener)
  end
end

-- Ends an event that was not complete in time; leases that are out end with it.
local function endByDeadline(id, state)
  for place, delivery in ipairs(state[DELIVERIES]) do
    local listener = listenerAt(state, place)
    if delivery[STATE] == LEASED then
      record('R', now, id, state[TYPE], listener, delivery[GRANTS], 0, now, false)
      applyRetried(id, state, listener, delivery, delivery[#delivery], 0, now, false)
    end
    if state[UNARCHIVED] then
      removeHeld(id, state, listener)
    end
  end
  record('E', now, id, state[TYPE])
  endUnworked(id, state, BY_DEADLINE)
end

-- Ends a lease that is overdue: with its event, when that is overdue too.
local function endOverdue(id, state, listener, delivery, queue)
  if deadlineHasPassed(state) then
    endByDeadline(id, state)
  else
    expireLease(id, state, listener, delivery, queue)
  end
end

-- Gives a lease up, uncounted. Saves.
local function handBack(id, state, listener, delivery, attempt, queue)
  local cancelling = state[CANCEL_REQUESTED] == 1
  record('H', now, id, state[TYPE], listener, attempt[GRANT])
  applyHandedBack(id, state, listener, delivery, attempt, queue)
  if cancelling then
    cancelIfResponder(id, state, listener)
  end
  saveState(id, state)
end
