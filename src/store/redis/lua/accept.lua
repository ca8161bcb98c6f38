#!lua
-- Accept: requests become events. All items are decided first, and an item sees those before it; then all is written.
-- Not allow-oom: a full Redis refuses it before it has begun.
--
-- KEYS     the constant ones below, then the queues `fresh` of the items' types
-- ARGV     1–7 head, 8 most types, 9 what new events are refused as (0: they are not; or 3 or 5), 10 the version of the
--          listeners that the caller knows, 11 the items as one JSON array, 12 and up the
--          envelope of each. Each is an argument, since every text that Lua makes costs time by its length, also by cutting.
--          An item is [id, ordinal of its type, which of the queues, delay in ms] and, when there is
--          more to be said of it, behind that an object with what there is of: `type`, its name, when the ordinal is a guess;
--          `archive`, true with that durability; `scope` and `fingerprint` of its idempotency key; `deadlineMs`, after which
--          it ends if it is not complete by then, unless it is as the type says; `listeners` that get it, each as its ordinal and which
--          of the queues with a colon between, and spaces between them (without: listener 0 alone; `none`: no listener; `gone`: it is for one
--          that there is not); `key`, the ordering key, percent-encoded: with one the event is due at once; `redriveOf`, the
--          past event that it is again; `tree`, where it belongs, as its state has it, when a completion in another
--          partition has emitted it: then the delay is the time when it is due
-- RETURNS  whom it wakes, then one JSON array: the time, and for each item 0 when it is accepted at that time; or [0, id, createdAt]
--          accepted, [1, id, createdAt] duplicate, both with view and n
--          behind them of what must be archived before the answer is given; [2, id] conflict, [3] full, [4] too many types,
--          [5] the archive is too far behind, [6] too many of the type are not complete, [7] no such listener. Or `stale`: the listeners are not
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
if listenersVersion ~= tonumber(ARGV[10]) then
  return { '', 'stale' }
end

-- An item.
local ID, ORDINAL, QUEUE, DELAY_MS, MORE = 1, 2, 3, 4, 5
local BEFORE_ENVELOPES = 11
local NOTHING_MORE = {}

-- Everything that is stored about their ids and scopes is fetched at once.
local items = cjson.decode(ARGV[11])
local ids, scopes = {}, {}
for place, item in ipairs(items) do
  ids[place] = item[ID]
  item[MORE] = item[MORE] or NOTHING_MORE
  scopes[#scopes + 1] = item[MORE].scope
end

local function promiseOf(state)
  return state[UNARCHIVED] and { view = state[VIEW], n = state[N] }
end

-- What is known by id (when it was created) and by scope, stored or decided in this call; and by id, which of those are
-- promised to be archived: where in the log.
local createdAt, firsts, promised = {}, {}, {}
for index, entry in ipairs(redis.call('HMGET', ENVELOPES, unpack(ids))) do
  if entry then
    local state = unpackState(redis.call('HGET', EVENTS, ids[index]) or beginningIn(entry))
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
local typeCount
local newTypes = {}
local openNow = {}
-- Places of items.
local accepted = {}

-- Nil when the ordinal that was guessed is not the type's, else what speaks against a type that is new, or true.
local function learn(item, more)
  local ordinal = newTypes[more.type] or tonumber(redis.call('HGET', TYPES, more.type) or nil)
  if ordinal then
    return ordinal == item[ORDINAL] or nil
  end
  typeCount = typeCount or redis.call('LLEN', TYPE_NAMES)
  if typeCount >= TYPES_MAX and not more.tree then
    return { 4 }
  end
  if typeCount ~= item[ORDINAL] then
    return nil
  end
  newTypes[more.type] = typeCount
  typeCount = typeCount + 1
  more.declares = true
  return true
end

local function decide(place, item)
  local id, ordinal, more = item[ID], item[ORDINAL], item[MORE]
  if createdAt[id] then
    return { 0, id, createdAt[id] }
  end
  local first = more.scope and firsts[more.scope]
  if first and first.fingerprint ~= more.fingerprint then
    return { 2, first.id }
  end
  if first then
    if not promised[first.id] then
      local packed = redis.call('HGET', EVENTS, first.id)
      promised[first.id] = packed and promiseOf(unpackState(packed))
    end
    return { 1, first.id, first.createdAt }
  end
  -- What was emitted elsewhere is there already, and must find its place.
  if REFUSED ~= 0 and not more.tree then
    return { REFUSED }
  end
  if more.listeners == 'gone' then
    return { 7 }
  end
  local learnt = not more.type or learn(item, more)
  if learnt ~= true then
    return learnt
  end
  local maxPending = policyOf(ordinal).maxPending
  if maxPending then
    local open = openNow[ordinal] or tonumber(redis.call('HGET', OPEN, ordinal) or 0)
    if open >= maxPending and not more.tree then
      return { 6 }
    end
    openNow[ordinal] = open + (more.listeners == 'none' and 0 or 1)
  end
  createdAt[id] = now
  if more.scope then
    firsts[more.scope] = { id = id, createdAt = now, fingerprint = more.fingerprint }
  end
  accepted[#accepted + 1] = place
  if more.archive then
    promised[id] = more
    return { 0, id, now }
  end
  return 0
end

local answers = {}
for place, item in ipairs(items) do
  local answer = decide(place, item)
  if not answer then
    break
  end
  answers[place] = answer
end

-- Records an event of which there is more to be said; what is nothing at the end is left out.
local function recordMore(id, ordinal, dueAt, more, deadlineAt, receivers)
  local scope, print, archives = more.scope or false, more.fingerprint or false, more.archive and 1 or 0
  local key, ends, listeners = more.key, deadlineAt or false, receivers or (more.key and false)
  if more.tree then
    local parent, root = string.match(more.tree, '^(%S+) (%S+)')
    record('A', now, id, ordinal, dueAt, false, false, archives, parent, root, ends, listeners, key)
  elseif more.redriveOf then
    record(
      'A', now, id, ordinal, dueAt, false, false, archives, false, false, ends, receivers or false, key or false,
      more.redriveOf
    )
  elseif deadlineAt or receivers or key then
    record('A', now, id, ordinal, dueAt, scope, print, archives, false, false, ends, listeners, key)
  elseif more.archive then
    record('A', now, id, ordinal, dueAt, scope, print, 1)
  elseif more.scope then
    record('A', now, id, ordinal, dueAt, scope, print)
  else
    record('A', now, id, ordinal, dueAt)
  end
  more.view, more.n = view, n
end

local function acceptMore(item, envelope, queue, deadlineAt)
  local id, ordinal, more, dueAt = item[ID], item[ORDINAL], item[MORE], now + item[DELAY_MS]
  if more.key then
    dueAt = now
  elseif more.tree then
    dueAt = math.max(now, item[DELAY_MS])
  end
  if more.declares then
    record('T', now, more.type, ordinal)
    applyTypeSet(more.type, ordinal)
  end
  local receivers, queues = readReceivers(more.listeners or '')
  recordMore(id, ordinal, dueAt, more, deadlineAt, receivers)
  local archive = more.archive or false
  addAccepted(
    id, ordinal, dueAt, more.scope, more.fingerprint, envelope, queues or queue, archive, archive, more.tree, deadlineAt,
    receivers, more.key, more.redriveOf
  )
  local past = more.redriveOf and loadState(more.redriveOf)
  if past then
    noteRedriven(past, id)
    saveState(more.redriveOf, past)
  end
end

-- Writes what was accepted.
for _, place in ipairs(accepted) do
  local item = items[place]
  local id, ordinal, more = item[ID], item[ORDINAL], item[MORE]
  local envelope = ARGV[BEFORE_ENVELOPES + place]
  local queue = KEYS[CONSTANT_KEYS + item[QUEUE]]
  local deadlineMs = more.deadlineMs or policyOf(ordinal).deadlineMs
  if more == NOTHING_MORE and not deadlineMs then
    local dueAt = now + item[DELAY_MS]
    record('A', now, id, ordinal, dueAt)
    addAccepted(id, ordinal, dueAt, false, false, envelope, queue)
  else
    acceptMore(item, envelope, queue, deadlineMs and now + deadlineMs)
  end
end
applyAccepted()

-- By now all of them have their positions.
if next(promised) then
  for _, answer in ipairs(answers) do
    local position = answer ~= 0 and promised[answer[2]]
    if position and answer[1] <= 1 and isUnarchived(position.view, position.n) then
      answer[4], answer[5] = position.view, position.n
      wakeArchiver()
    end
  end
end

noteRecords()
return { wakeAll(), cjson.encode({ now, unpack(answers) }) }
