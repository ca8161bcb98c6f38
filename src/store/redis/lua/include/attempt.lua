-- What the operations on an attempt share: finding it, judging its lease, ending it.
--
-- Needs gate, head, record, wake, state, LEASED_UNTIL, DELAYED and SETTLED.

-- The event, the delivery and the attempt that an attempt's id names, or nil.
local function findAttempt(id, typeOrdinal, listener, grant)
  local state = loadState(id)
  if not state or state[TYPE] ~= typeOrdinal then
    return nil
  end
  local delivery = state[DELIVERIES][listener + 1]
  local newest = delivery and delivery[#delivery]
  if not delivery or #delivery < ATTEMPTS then
    return nil
  end
  -- Grants count up by one, so the place follows from the newest.
  local place = #delivery - (newest[GRANT] - grant)
  local attempt = place >= ATTEMPTS and delivery[place]
  if not attempt then
    return nil
  end
  return state, delivery, attempt
end

local function leaseExpired(delivery)
  return delivery[EXPIRES_AT] <= now or delivery[EXPIRES_AT] - now > LEASE_MS_MAX
end

local function holdsLease(delivery, attempt, token)
  return attempt[END] == LIVE and attempt[TOKEN] == token and not leaseExpired(delivery)
end

-- How a delivery is named in the sets of a partition.
local function memberOf(id, state, listener)
  return id .. '.' .. state[TYPE] .. '.' .. listener
end

-- Must give what backoffMs in policy.ts gives, digit for digit.
local function backoffMs(id, state, listener, delivery)
  local full = BACKOFF_FIRST_MS
  local k = 1
  while k < delivery[ATTEMPT] and full < BACKOFF_MS_MAX do
    full = full * BACKOFF_FACTOR
    k = k + 1
  end
  full = math.min(full, BACKOFF_MS_MAX)
  local attemptId = memberOf(id, state, listener) .. '.' .. delivery[GRANTS]
  local chance = tonumber(string.sub(redis.sha1hex(attemptId), 1, 8), 16) / 4294967296
  return math.floor(full * (1 - BACKOFF_JITTER * chance))
end

-- Of the three steps after an attempt's record: the attempt has ended …
local function endAttempt(id, state, listener, attempt, how)
  attempt[ENDED_AT] = now
  attempt[END] = how
  state[VERSION] = state[VERSION] + 1
  redis.call('ZREM', LEASED_UNTIL, memberOf(id, state, listener))
  wakeEvent(id)
end

-- … its delivery waits, until it is due or in `queue`, the one of those that come back …
local function waitUntil(id, state, listener, delivery, dueAt, queue)
  delivery[STATE] = WAITING
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
end

-- Ends an event that nobody holds; its attempts have ended.
local function cancelEvent(id, state)
  record('X', now, id, state[TYPE])
  for listener, delivery in ipairs(state[DELIVERIES]) do
    delivery[STATE] = ENDED
    redis.call('ZREM', DELAYED, memberOf(id, state, listener - 1))
  end
  state[VERSION] = state[VERSION] + 1
  completeEvent(id, state, FAIL, BY_CANCEL)
  wakeEvent(id)
end

-- Ends an expired lease: it counts as an attempt, so the delivery is retried after its backoff or dead. With
-- `cancelling` the event ends here in any case, and nothing waits any more.
local function expireLease(id, state, listener, delivery, queue, cancelling)
  local attempt = delivery[#delivery]
  local grant = delivery[GRANTS]
  endAttempt(id, state, listener, attempt, EXPIRED)
  if state[CANCEL_REQUESTED] == 1 then
    attempt[RETRY_AT] = now
    record('R', now, id, state[TYPE], listener, grant, 0, now, false)
    cancelEvent(id, state)
  elseif delivery[ATTEMPT] >= ATTEMPTS_MAX then
    record('D', now, id, state[TYPE], listener, grant, 0, false)
    delivery[STATE] = ENDED
    completeEvent(id, state, FAIL, BY_ATTEMPTS)
  else
    local dueAt = now + backoffMs(id, state, listener, delivery)
    attempt[RETRY_AT] = dueAt
    record('R', now, id, state[TYPE], listener, grant, 0, dueAt, false)
    if cancelling then
      cancelEvent(id, state)
    else
      waitUntil(id, state, listener, delivery, dueAt, queue)
    end
  end
end

-- Gives a lease up, uncounted. Saves.
local function handBack(id, state, listener, delivery, attempt, queue)
  record('H', now, id, state[TYPE], listener, attempt[GRANT])
  endAttempt(id, state, listener, attempt, HANDED_BACK)
  delivery[ATTEMPT] = delivery[ATTEMPT] - 1
  if state[CANCEL_REQUESTED] == 1 then
    cancelEvent(id, state)
  else
    waitUntil(id, state, listener, delivery, now, queue)
  end
  saveState(id, state)
end
