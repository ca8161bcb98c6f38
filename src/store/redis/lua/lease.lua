#!lua flags=allow-oom
-- Lease: of the eligible deliveries of the types asked for, the oldest go to the caller. Of each type the heads of two
-- queues are merged by sequence: `fresh` (a list: deliveries in the order of acceptance) and `again` (a sorted set:
-- those that came back or whose delay is over). An entry whose delivery no longer waits is passed over and dropped.
--
-- KEYS     the constant ones below, the call, then for each type `fresh` and `again` of the listener
-- ARGV     1–7 head, 8 name of the call, 9 most leases, 10 most bytes of envelopes, 11 ms of the lease, or with a ~ before it
--          those of a type that declares none, 12 whether there is a worker's name (1 or 0), 13 that name, 14 up to when the
--          caller has promoted, or nothing, 15 the version of the listeners that the caller knows, 16 the ordinals of types
--          of which it is not known there that somebody has leased from the vacant ordinal, with commas, and before them
--          a ! when it is to be noted that the listener has asked, 17 how many names
--          follow of types that the caller does not know, those names, the ordinals of the types it knows, for each of
--          those the ordinal of the listener, and after them the tokens
-- RETURNS  {'deadline'}: there are events whose deadline has passed, end them first; {'promote'}: there are deliveries that
--          are due or have been archived, promote them first; {'types'}: one of the names is a type, learn it first;
--          {'stale'}: the listeners are not those that the caller knows; {'again'}: only dead entries so far, ask again; or
--          {'leased', whom it wakes, the claim, then for each lease id, ordinal, listener, grant, attempt, token,
--          expiresAt, view, n, createdAt, what stands in ENVELOPES, deadline or 0, ordering key or nothing}
--@keys meta policies events envelopes results types subscribers leasedUntil delayed held settled settledOwn outbox forgotten open deadlines trees
--@include gate
--@include head
--@include record
--@include wake
--@include state
--@include attempt
--@include granted
--@include listeners
--@include short-id
local CALL_KEY = KEYS[CONSTANT_KEYS + 1]
local CALL = ARGV[8]
local MAX = tonumber(ARGV[9])
local BYTES_MAX = tonumber(ARGV[10])
local LEASE_MS = tonumber(ARGV[11])
local LEASE_MS_OTHERWISE = tonumber(string.match(ARGV[11], '^~(.*)$'))
local WORKER_NAME = ARGV[12] == '1' and ARGV[13]
local PROMOTED_TO = tonumber(ARGV[14]) or now
local UNKNOWN = tonumber(ARGV[17])
local TYPE_COUNT = (#KEYS - CONSTANT_KEYS - 1) / 2
local FIRST_ORDINAL = 18 + UNKNOWN
local FIRST_LISTENER = FIRST_ORDINAL + TYPE_COUNT
local FIRST_TOKEN = FIRST_LISTENER + TYPE_COUNT
local DEAD_ENTRIES_MAX = 1000
local CHUNK_MAX = 100

if listenersVersion ~= tonumber(ARGV[15]) then
  return { 'stale' }
end
for index = 1, UNKNOWN do
  if redis.call('HEXISTS', TYPES, ARGV[17 + index]) == 1 then
    return { 'types' }
  end
end
local overdue = deadlines and redis.call('ZRANGE', DEADLINES, 0, 0, 'WITHSCORES')[2]
if overdue and tonumber(overdue) <= now then
  return { 'deadline' }
end
local due = redis.call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')[2]
-- Those whose turn has come, behind others of their ordering key, are due since ever, and come at any time: who has promoted
-- once need not run after them.
local isTurn = due and tonumber(due) == 0
if due and tonumber(due) <= math.min(now, PROMOTED_TO) and not (isTurn and ARGV[14] ~= '') then
  return { 'promote' }
end
local held = redis.call('ZRANGE', HELD, 0, 0)[1]
local heldState = held and loadState(idOf(held))
if held and not (heldState and isUnarchived(heldState[VIEW], heldState[N])) then
  return { 'promote' }
end

local reply = {}

local function give(id, state, listener, delivery, attempt, envelope)
  local size = #reply
  reply[size + 1] = id
  reply[size + 2] = state[TYPE]
  reply[size + 3] = listener
  reply[size + 4] = attempt[GRANT]
  reply[size + 5] = attempt[COUNT]
  reply[size + 6] = attempt[TOKEN]
  reply[size + 7] = delivery[EXPIRES_AT]
  reply[size + 8] = state[VIEW]
  reply[size + 9] = state[N]
  reply[size + 10] = state[CREATED_AT]
  reply[size + 11] = envelope
  reply[size + 12] = state[DEADLINE_AT] or 0
  reply[size + 13] = state[KEY] or false
end

-- The token tells a lease from one that took its place when the store was rebuilt.
local known = recallCall(CALL_KEY)
if known and known[2] <= now then
  known = false
end
for first = 3, known and #known or 0, 4 do
  local id, listener, grant, token = known[first], known[first + 1], known[first + 2], known[first + 3]
  local state = loadState(id)
  local delivery = state and deliveryOf(state, listener)
  local attempt = delivery and delivery[GRANTS] == grant and delivery[#delivery]
  if attempt and holdsLease(state, delivery, attempt, token) then
    give(id, state, listener, delivery, attempt, redis.call('HGET', ENVELOPES, id))
  end
end
if #reply > 0 then
  known[1] = known[1] + 1
  redis.call('SET', CALL_KEY, cmsgpack.pack(known), 'KEEPTTL')
  return { 'leased', '', known[1], unpack(reply) }
end

-- The queues, each with what has been fetched of it and how much of it has been passed: taken or found dead.
local queues = {}
for index = 1, TYPE_COUNT do
  local fresh = CONSTANT_KEYS + 2 * index
  local ordinal, listener = tonumber(ARGV[FIRST_ORDINAL + index - 1]), tonumber(ARGV[FIRST_LISTENER + index - 1])
  for place = 0, policyOf(ordinal).paused and -1 or 1 do
    queues[#queues + 1] = {
      key = KEYS[fresh + place], fresh = place == 0, listener = listener, passed = 0, fetched = 0, ids = {}, states = {},
      counted = ordinal .. '.' .. listener,
    }
  end
end
local taken, dead = {}, 0

local function fetch(queue)
  local wanted = queue.ended and 0 or math.min(math.max(MAX - #taken, dead), CHUNK_MAX)
  local command = queue.fresh and 'LRANGE' or 'ZRANGE'
  queue.ids = wanted > 0 and redis.call(command, queue.key, queue.fetched, queue.fetched + wanted - 1) or {}
  queue.ended = #queue.ids < wanted or wanted == 0
  queue.fetched = queue.fetched + #queue.ids
  queue.at = 1
  if #queue.ids > 0 then
    queue.ids = queue.fresh and longIds(queue.ids) or queue.ids
    queue.states, queue.entries = packedStates(queue.ids)
  end
end

-- The queue's first living entry as queue.id and queue.state; nothing when there is none.
local function look(queue)
  while not queue.state and dead < DEAD_ENTRIES_MAX do
    if not queue.ids[queue.at] then
      fetch(queue)
      if #queue.ids == 0 then
        return
      end
    end
    local packed = queue.states[queue.at]
    local state = packed and unpackState(packed)
    local delivery = state and deliveryOf(state, queue.listener)
    if delivery and delivery[STATE] == WAITING then
      queue.id = queue.ids[queue.at]
      queue.state = state
    else
      queue.passed = queue.passed + 1
      queue.at = queue.at + 1
      dead = dead + 1
      tally(queue.counted .. 'X', -1)
    end
  end
end

local bytes = 0
while #taken < MAX do
  local oldest
  for _, queue in ipairs(queues) do
    look(queue)
    if queue.state and (not oldest or queue.state[SEQUENCE] < oldest.state[SEQUENCE]) then
      oldest = queue
    end
  end
  if not oldest or dead >= DEAD_ENTRIES_MAX then
    break
  end
  local envelope = oldest.entries[oldest.at] or redis.call('HGET', ENVELOPES, oldest.id)
  bytes = bytes + envelopeBytes(envelope)
  if #taken > 0 and bytes > BYTES_MAX then
    break
  end
  taken[#taken + 1] = { id = oldest.id, state = oldest.state, listener = oldest.listener, envelope = envelope }
  oldest.state = nil
  oldest.passed = oldest.passed + 1
  oldest.at = oldest.at + 1
end

-- From here on things are written.
for _, queue in ipairs(queues) do
  if queue.passed > 0 and queue.fresh then
    redis.call('LTRIM', queue.key, queue.passed, -1)
  elseif queue.passed > 0 then
    redis.call('ZREMRANGEBYRANK', queue.key, 0, queue.passed - 1)
  end
end
if string.sub(ARGV[16], 1, 1) == '!' then
  for index = 1, TYPE_COUNT do
    local counted = ARGV[FIRST_ORDINAL + index - 1] .. '.' .. ARGV[FIRST_LISTENER + index - 1]
    redis.call('HSET', OPEN, counted .. 'A', now)
  end
end
if #taken == 0 and dead >= DEAD_ENTRIES_MAX then
  writeTallies()
  return { 'again' }
end

-- One call gives leases of one length: the shortest of what the types say.
local function leaseMs()
  if LEASE_MS then
    return LEASE_MS
  end
  local shortest = UNKNOWN > 0 and LEASE_MS_OTHERWISE or math.huge
  for index = 1, TYPE_COUNT do
    local own = policyOf(tonumber(ARGV[FIRST_ORDINAL + index - 1])).leaseMs
    shortest = math.min(shortest, own or LEASE_MS_OTHERWISE)
  end
  return shortest
end

local claim = (known and known[1] or 0) + 1
local expiresAt = now + leaseMs()
local remembered = { claim, expiresAt }
local states, ends, unmarked = {}, {}, {}
for ordinal in string.gmatch(ARGV[16], '%d+') do
  unmarked[tonumber(ordinal)] = true
end
for index, each in ipairs(taken) do
  local id, state, listener = each.id, each.state, each.listener
  local delivery = deliveryOf(state, listener)
  local token = ARGV[FIRST_TOKEN + index - 1]
  local grant, count = delivery[GRANTS] + 1, delivery[ATTEMPT] + 1
  record(
    'G', now, id, state[TYPE], listener, grant, count, token, WORKER_NAME, expiresAt, CALL, claim
  )
  local attempt = applyGranted(id, state, listener, delivery, grant, count, token, WORKER_NAME, expiresAt)
  states[#states + 1] = id
  states[#states + 1] = cmsgpack.pack(state)
  ends[#ends + 1] = expiresAt
  ends[#ends + 1] = memberOf(id, state, listener)
  rememberGrant(remembered, id, listener, grant, token)
  if unmarked[state[TYPE]] then
    unmarked[state[TYPE]] = nil
    markLeased(state[TYPE])
  end
  give(id, state, listener, delivery, attempt, each.envelope)
end
if #taken > 0 then
  redis.call('HSET', EVENTS, unpack(states))
  redis.call('ZADD', LEASED_UNTIL, unpack(ends))
  rememberCall(CALL_KEY, remembered, now)
end
noteRecords()
return { 'leased', wakeAll(), claim, unpack(reply) }
