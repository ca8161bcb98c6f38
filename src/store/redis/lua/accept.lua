#!lua
-- Accept: requests become events. All items are decided first, and an item sees those before it; then all is written.
-- Not allow-oom: a full Redis refuses it before it has begun.
--
-- KEYS     the constant ones below, then the queues `fresh` of the items' types
-- ARGV     1–7 head, 8 most types, 9 what new events are refused as (0: they are not; or 3 or 5), 10 the version of the
--          listeners that the caller knows; then for each item: id,
--          type, its ordinal, whether that is a guess (1: the type is not known to the caller; 2 more with `archive`
--          durability; 4 more when a completion in another partition has emitted it: then the delay is the time when it is due,
--          and the scope says where it belongs, as its state does), which of the queues, delay in ms, scope and fingerprint of
--          the idempotency key (no fingerprint: no key), envelope, ms after which it ends if it is not complete by then
--          (nothing: what the type says), and the listeners that get it, each as its ordinal and which of the queues with a
--          colon between, and spaces between them (nothing: listener 0 alone; `none`: no listener; `gone`: it is for one
--          that there is not), and the ordering key, percent-encoded, or nothing: with one the event is due at once.
--          Without a fingerprint, and not emitted elsewhere, the scope is the past event that it is again
-- RETURNS  whom it wakes, then for each item: {0, id, createdAt} accepted, {1, id, createdAt} duplicate, both with view and n
--          behind them of what must be archived before the answer is given; {2, id} conflict, {3} full, {4} too many types,
--          {5} the archive is too far behind, {6} too many of the type are not complete, {7} no such listener. Or `stale`: the listeners are not
--          those that the caller knows. It stops short of an item whose ordinal was guessed wrong.
--@keys meta events envelopes types typeNames policies ids delayed held keyed settled settledOwn outbox scopes0 scopes1 scopes2 open deadlines trees
--@include gate
--@include head
--@include record
--@include wake
--@include policy
--@include is-unarchived
--@include state
--@include redriven
--@include type-set
--@include accepted
local TYPES_MAX = tonumber(ARGV[8])
local REFUSED = tonumber(ARGV[9])
local FIELDS = 12
if listenersVersion ~= tonumber(ARGV[10]) then
  return { '', 'stale' }
end

-- Each item as a table; everything that is stored about its id or its scope is fetched at once.
local items, ids, scopes = {}, {}, {}
for first = 11, #ARGV, FIELDS do
  local about = ARGV[first + 3]
  local item = {
    id = ARGV[first],
    type = ARGV[first + 1],
    ordinal = tonumber(ARGV[first + 2]),
    guess = about == '1' or about == '3' or about == '5' or about == '7',
    archive = about == '2' or about == '3' or about == '6' or about == '7',
    relayed = #about == 1 and about >= '4',
    queue = tonumber(ARGV[first + 4]),
    delayMs = tonumber(ARGV[first + 5]),
    scope = ARGV[first + 7] ~= '' and ARGV[first + 6],
    tree = ARGV[first + 6],
    fingerprint = ARGV[first + 7],
    envelope = ARGV[first + 8],
    deadlineMs = tonumber(ARGV[first + 9]),
    listeners = ARGV[first + 10],
    key = ARGV[first + 11] ~= '' and ARGV[first + 11] or nil,
  }
  item.redriveOf = not item.scope and not item.relayed and item.tree ~= '' and item.tree
  items[#items + 1] = item
  ids[#ids + 1] = item.id
  if item.scope then
    scopes[#scopes + 1] = item.scope
  end
end

local function promiseOf(state)
  return state[UNARCHIVED] and { view = state[VIEW], n = state[N] }
end

-- What is known by id (when it was created) and by scope, stored or decided in this call; and by id, which of those are
-- promised to be archived: their states, or their items.
local createdAt, firsts, promised = {}, {}, {}
for index, entry in ipairs(redis.call('HMGET', ENVELOPES, unpack(ids))) do
  if entry then
    local state = cjson.decode(redis.call('HGET', EVENTS, ids[index]) or beginningIn(entry))
    createdAt[ids[index]] = state[CREATED_AT]
    promised[ids[index]] = promiseOf(state)
  end
end
if #scopes > 0 then
  for slot = 0, 2 do
    for index, packed in ipairs(redis.call('HMGET', SCOPES[slot], unpack(scopes))) do
      if packed then
        local id, at, fingerprint = string.match(packed, '^(%S+) (%d+) (.*)$')
        local first = { id = id, createdAt = tonumber(at), fingerprint = fingerprint }
        local other = firsts[scopes[index]]
        -- A key lives to the end of the UTC day after the one it was first used in.
        local alive = (math.floor(first.createdAt / DAY_MS) + 2) * DAY_MS > now
        if alive and (not other or first.createdAt < other.createdAt) then
          firsts[scopes[index]] = first
        end
      end
    end
  end
end

-- Decides one item. Gives its answer, or nil when the ordinal is not the type's.
local typeCount = redis.call('LLEN', TYPE_NAMES)
local newTypes = {}
local openNow = {}
local accepted = {}

local function decide(item)
  if createdAt[item.id] then
    return { 0, item.id, createdAt[item.id] }
  end
  local first = item.scope and firsts[item.scope]
  if first and first.fingerprint ~= item.fingerprint then
    return { 2, first.id }
  end
  if first then
    if not promised[first.id] then
      local packed = redis.call('HGET', EVENTS, first.id)
      promised[first.id] = packed and promiseOf(cjson.decode(packed))
    end
    return { 1, first.id, first.createdAt }
  end
  -- What was emitted elsewhere is there already, and must find its place.
  if REFUSED ~= 0 and not item.relayed then
    return { REFUSED }
  end
  if item.listeners == 'gone' then
    return { 7 }
  end
  if item.guess then
    local ordinal = newTypes[item.type] or tonumber(redis.call('HGET', TYPES, item.type) or nil)
    if ordinal and ordinal ~= item.ordinal then
      return nil
    end
    if not ordinal then
      if typeCount >= TYPES_MAX and not item.relayed then
        return { 4 }
      end
      if typeCount ~= item.ordinal then
        return nil
      end
      newTypes[item.type] = typeCount
      typeCount = typeCount + 1
      item.declares = true
    end
  end
  local maxPending = policyOf(item.ordinal).maxPending
  if maxPending then
    local open = openNow[item.ordinal] or tonumber(redis.call('HGET', OPEN, item.ordinal) or 0)
    if open >= maxPending and not item.relayed then
      return { 6 }
    end
    openNow[item.ordinal] = open + (item.listeners == 'none' and 0 or 1)
  end
  createdAt[item.id] = now
  if item.archive then
    promised[item.id] = item
  end
  if item.scope then
    firsts[item.scope] = { id = item.id, createdAt = now, fingerprint = item.fingerprint }
  end
  accepted[#accepted + 1] = item
  return { 0, item.id, now }
end

local answers = {}
for _, item in ipairs(items) do
  local answer = decide(item)
  if not answer then
    break
  end
  answers[#answers + 1] = answer
end

-- Writes what was accepted.
for _, item in ipairs(accepted) do
  local ordinal, dueAt = item.ordinal, now + item.delayMs
  if item.key then
    dueAt = now
  elseif item.relayed then
    dueAt = math.max(now, item.delayMs)
  end
  if item.declares then
    record('T', now, item.type, ordinal)
    applyTypeSet(item.type, ordinal)
  end
  local receivers, queues = readReceivers(item.listeners)
  local deadlineMs = item.deadlineMs or policyOf(ordinal).deadlineMs
  local deadlineAt = deadlineMs and now + deadlineMs
  local print, archives = item.scope and item.fingerprint, item.archive and 1 or 0
  local key, ends, listeners = item.key, deadlineAt or false, receivers or (item.key and false)
  if item.relayed then
    local parent, root = string.match(item.tree, '^(%S+) (%S+)')
    record('A', now, item.id, ordinal, dueAt, false, false, archives, parent, root, ends, listeners, key)
    item.view, item.n = view, n
  elseif item.redriveOf then
    record(
      'A', now, item.id, ordinal, dueAt, false, false, archives, false, false, ends, receivers or false, key or false,
      item.redriveOf
    )
    item.view, item.n = view, n
  elseif deadlineAt or receivers or key then
    -- What is nothing at the end is left out.
    record('A', now, item.id, ordinal, dueAt, item.scope, print, archives, false, false, ends, listeners, key)
    item.view, item.n = view, n
  elseif item.archive then
    record('A', now, item.id, ordinal, dueAt, item.scope, item.scope and item.fingerprint, 1)
    item.view, item.n = view, n
  elseif item.scope then
    record('A', now, item.id, ordinal, dueAt, item.scope, item.fingerprint)
  else
    record('A', now, item.id, ordinal, dueAt)
  end
  local queue = queues or KEYS[CONSTANT_KEYS + item.queue]
  local archive = item.archive
  addAccepted(
    item.id, ordinal, dueAt, item.scope, item.fingerprint, item.envelope, queue, archive, archive,
    item.relayed and item.tree, deadlineAt, receivers, key, item.redriveOf
  )
  local past = item.redriveOf and loadState(item.redriveOf)
  if past then
    noteRedriven(past, item.id)
    saveState(item.redriveOf, past)
  end
end
applyAccepted()

-- By now all of them have their positions.
if next(promised) then
  for _, answer in ipairs(answers) do
    local position = promised[answer[2]]
    if answer[1] <= 1 and position and isUnarchived(position.view, position.n) then
      answer[4], answer[5] = position.view, position.n
      wakeArchiver()
    end
  end
end

noteRecords()
return { wakeAll(), unpack(answers) }
