-- What the operations on an attempt share: judging its lease, and deciding how it ends.
--
-- Needs gate, head, record, wake, state, and what apply and policy need.
--@include apply
--@include policy

local function leaseExpired(delivery)
  return delivery[EXPIRES_AT] <= now or delivery[EXPIRES_AT] - now > LEASE_MS_MAX
end

local function holdsLease(delivery, attempt, token)
  return attempt[END] == LIVE and attempt[TOKEN] == token and not leaseExpired(delivery)
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
  applyCancelled(id, state)
end

-- Ends an expired lease: it counts as an attempt, so the delivery is retried after its backoff or dead. With
-- `cancelling` the event ends here in any case, and nothing waits any more.
local function expireLease(id, state, listener, delivery, queue, cancelling)
  local attempt = delivery[#delivery]
  local grant = delivery[GRANTS]
  if state[CANCEL_REQUESTED] == 0 and delivery[ATTEMPT] >= policyOf(state[TYPE]).attemptsMax then
    record('D', now, id, state[TYPE], listener, grant, 0, false)
    applyDead(id, state, listener, delivery, attempt, 0, false)
    return
  end
  local dueAt = now
  if state[CANCEL_REQUESTED] == 1 then
    cancelling = true
  else
    dueAt = now + backoffMs(id, state, listener, delivery)
  end
  record('R', now, id, state[TYPE], listener, grant, 0, dueAt, false)
  applyRetried(id, state, listener, delivery, attempt, 0, dueAt, false, not cancelling and queue)
  if cancelling then
    cancelEvent(id, state)
  end
end

-- Gives a lease up, uncounted. Saves.
local function handBack(id, state, listener, delivery, attempt, queue)
  local cancelling = state[CANCEL_REQUESTED] == 1
  record('H', now, id, state[TYPE], listener, attempt[GRANT])
  applyHandedBack(id, state, listener, delivery, attempt, not cancelling and queue)
  if cancelling then
    cancelEvent(id, state)
  end
  saveState(id, state)
end
