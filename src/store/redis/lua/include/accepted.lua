-- What it means that events were accepted. Many are written at once, which is far quicker:
-- all that are added at one time of the clock, then they are applied.
--
-- Needs now (the records' time), view and n (the position of the one that is added), sequence, wake, state, META, IDS, OPEN,
-- DEADLINES, DELAYED, HELD, KEYED, SETTLED and SCOPES0 to 2.
--@include settled
--@include keyed
--@include short-id
local DAY_MS = 86400000
local SCOPES = { [0] = SCOPES0, SCOPES1, SCOPES2 }
local added, addedStates, addedEnvelopes, addedScopes, addedFresh, addedOpen = {}, {}, {}, {}, {}, {}

-- Of an event with `archive` durability, in a cascade, with a deadline, with an ordering key, for other listeners than listener
-- 0 alone, or that is a past one again, see state.lua. What there is not is false.
local function longState(ordinal, dueAt, archive, tree, deadlineAt, receivers, key, redriveOf)
  local unarchived = archive and view .. '-' .. n .. 'A0'
  -- Who has a key is due in its turn, whatever becomes of the clock until then.
  local delivery = { 0, archive and not key and dueAt or 0, 0, 0 }
  local state = {
    0, ordinal, sequence, view, n, now, 1, 0, 0, 0, 0, 0, 0, { delivery }, false, false, false, false, unarchived
  }
  if tree or deadlineAt or receivers or key then
    state[20] = tree or false
  end
  if deadlineAt or receivers or key then
    state[21] = deadlineAt or false
  end
  if receivers then
    state[22] = table.concat(receivers, ' ')
    for place = 2, #receivers do
      state[14][place] = { 0, delivery[2], 0, 0 }
    end
  end
  if receivers and #receivers == 0 then
    -- No listener matched: it is complete, and settled.
    state[14] = {}
    state[8], state[10], state[11], state[12], state[15], state[16] = 2, now, 2, 5, view, n
    state[23], state[24], state[25] = now, view, n
  end
  if key or redriveOf then
    for place = 20, 26 do
      state[place] = state[place] or false
    end
    state[26] = key or false
    state[27] = redriveOf or nil
  end
  return state
end

-- An idempotency key, also of an event that is there no more.
local function addScope(id, scope, fingerprint)
  addedScopes[#addedScopes + 1] = scope
  addedScopes[#addedScopes + 1] = id .. ' ' .. string.format('%.0f', now) .. ' ' .. fingerprint
end

local function addWaiting(id, ordinal, listener, dueAt, queue, held, key)
  if key and not joinKey(ordinal, listener, key, sequence, id) then
    tally(ordinal .. '.' .. listener .. 'D', 1)
    return
  end
  if held then
    redis.call('ZADD', HELD, sequence, id .. '.' .. ordinal .. '.' .. listener)
    tally(ordinal .. '.' .. listener .. 'D', 1)
  elseif dueAt > now then
    redis.call('ZADD', DELAYED, dueAt, id .. '.' .. ordinal .. '.' .. listener)
    tally(ordinal .. '.' .. listener .. 'D', 1)
  else
    addedFresh[queue] = addedFresh[queue] or {}
    table.insert(addedFresh[queue], id)
    wakeQueue(ordinal, listener)
  end
end

-- The listeners that get an event, and their queues, from what the caller says: each as its ordinal and which of the queues
-- with a colon between. Nothing when nothing is said: that is listener 0 alone.
local function readReceivers(text)
  if text == '' then
    return nil
  end
  local receivers, queues = {}, {}
  for listener, queue in string.gmatch(text, '(%d+):(%d+)') do
    receivers[#receivers + 1] = tonumber(listener)
    queues[#queues + 1] = KEYS[CONSTANT_KEYS + tonumber(queue)]
  end
  return receivers, queues
end

-- `scope` is false without an idempotency key, `queue` is the type's `fresh`. With `archive` durability, `archive` is
-- true, and nobody may lease it before it is archived: it is `held`, unless it comes from the log. `tree` says of an
-- emitted event where it belongs, as its state does. With `receivers` (their ordinals) `queue` is a list, one for each.
-- `redriveOf` is the past event that it is again, or false. With an ordering key it is due at once.
local function addAccepted(
  id, ordinal, dueAt, scope, fingerprint, envelope, queue, archive, held, tree, deadlineAt, receivers, key, redriveOf
)
  sequence = sequence + 1
  if tree then
    local root, isUnmatched = string.match(tree, '^%S+ (%S+)'), receivers and #receivers == 0
    moveInTree(root, nil, isUnmatched and AS_FAIL or AS_PENDING, archive)
    if not isUnmatched then
      moveInTree(root, nil, LIVE_IN_TREE, archive)
    end
  end
  added[#added + 1] = id
  addedStates[#addedStates + 1] = id
  addedStates[#addedStates + 1] = (archive or tree or deadlineAt or receivers or key or redriveOf)
    and longState(ordinal, dueAt, archive, tree, deadlineAt, receivers, key, redriveOf)
    or { 0, ordinal, sequence, view, n, now }
  addedEnvelopes[#addedEnvelopes + 1] = id
  addedEnvelopes[#addedEnvelopes + 1] = envelope
  if scope then
    addScope(id, scope, fingerprint)
  end
  if deadlineAt and not (receivers and #receivers == 0) then
    redis.call('ZADD', DEADLINES, deadlineAt, id)
    redis.call('HSET', META, 'deadlines', 1)
  end
  for place = 1, receivers and #receivers or 1 do
    local listener = receivers and receivers[place] or 0
    addWaiting(id, ordinal, listener, dueAt, receivers and queue[place] or queue, held, key)
  end
  if receivers and #receivers == 0 then
    noteSettled(id, ordinal, now, view, n)
    wakeEvent(id)
  else
    addedOpen[ordinal] = (addedOpen[ordinal] or 0) + 1
  end
end

-- Three hashes take turns by day; by the time that one's turn comes again its keys are long over.
local function rememberScopes()
  local day = math.floor(now / DAY_MS)
  local slot = day % 3
  local label = tonumber(redis.call('HGET', META, 'day' .. slot) or 0)
  if label < day then
    redis.call('UNLINK', SCOPES[slot])
    redis.call('HSET', META, 'day' .. slot, day)
  end
  redis.call('HSET', SCOPES[slot], unpack(addedScopes))
end

local function applyAccepted()
  if #addedScopes > 0 then
    rememberScopes()
    addedScopes = {}
  end
  if #added == 0 then
    return
  end
  local states = {}
  for place = 2, #addedStates, 2 do
    local state, packed = addedStates[place]
    addedEnvelopes[place], packed = withBeginning(addedEnvelopes[place], state)
    if packed then
      states[#states + 1] = added[place / 2]
      states[#states + 1] = packed
    end
  end
  if #states > 0 then
    redis.call('HSET', EVENTS, unpack(states))
  end
  redis.call('HSET', ENVELOPES, unpack(addedEnvelopes))
  local short, shorts = {}, {}
  for place, id in ipairs(added) do
    short[id] = shortId(id)
    shorts[place] = short[id]
  end
  redis.call('RPUSH', IDS, unpack(shorts))
  for queue, queued in pairs(addedFresh) do
    for place, id in ipairs(queued) do
      queued[place] = short[id]
    end
    redis.call('RPUSH', queue, unpack(queued))
  end
  for ordinal, count in pairs(addedOpen) do
    redis.call('HINCRBY', OPEN, ordinal, count)
  end
  redis.call('HSET', META, 'sequence', sequence)
  added, addedStates, addedEnvelopes, addedFresh, addedOpen = {}, {}, {}, {}, {}
end
