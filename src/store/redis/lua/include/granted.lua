-- What a grant means, and how the call that asked for it is remembered: as its claim, when it is forgotten, and id,
-- listener, grant and token of each lease.
--
-- Needs apply and FORGOTTEN.
local ATTEMPTS_KEPT_MAX = 100
-- A call is remembered a little longer than its own time says, which alone decides.
local CALL_GRACE_MS = 5000

-- The oldest attempt makes room. Its bodies may still be wanted by the outbox: they go once that is archived.
local function forgetOldest(id, listener, delivery)
  local oldest = table.remove(delivery, ATTEMPTS)
  if oldest[FINGERPRINT] or oldest[LATE_AT] ~= 0 then
    redis.call('RPUSH', FORGOTTEN, cjson.encode({ view, n, id .. '.' .. listener .. '.' .. oldest[GRANT] }))
  end
end

-- Its place in a queue and among the leases is the caller's.
local function applyGranted(id, state, listener, delivery, grant, count, token, worker, expiresAt)
  delivery[STATE] = LEASED
  tallyOf(state, listener, 'L', 1)
  delivery[EXPIRES_AT] = expiresAt
  delivery[GRANTS] = grant
  delivery[ATTEMPT] = count
  local attempt = { grant, count, token, now, worker, 0, LIVE, 0, 0, 0, false, 0 }
  delivery[#delivery + 1] = attempt
  if #delivery - ATTEMPTS + 1 > ATTEMPTS_KEPT_MAX then
    forgetOldest(id, listener, delivery)
  end
  if state[STATUS] == PENDING then
    state[STATUS] = IN_PROCESS
    state[STARTED_AT] = now
    local root = rootOf(state)
    if root then
      moveInTree(root, AS_PENDING, AS_IN_PROCESS, state[UNARCHIVED])
    end
  end
  noteLast(state)
  state[VERSION] = state[VERSION] + 1
  wakeEvent(id)
  if state[UNARCHIVED] then
    noteUnarchived(state, 'G', grant, listener)
  end
  return attempt
end

local function recallCall(key)
  local known = redis.call('GET', key)
  return known and cmsgpack.unpack(known)
end

local function rememberGrant(call, id, listener, grant, token)
  local size = #call
  call[size + 1] = id
  call[size + 2] = listener
  call[size + 3] = grant
  call[size + 4] = token
end

local function rememberCall(key, call, at)
  redis.call('SET', key, cmsgpack.pack(call), 'PX', call[2] - at + CALL_GRACE_MS)
end
