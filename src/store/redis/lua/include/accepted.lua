-- What it means that events were accepted. Many are written at once, which is far quicker:
-- all that are added at one time of the clock, then they are applied.
--
-- Needs now (the records' time), view and n (the position of the one that is added), sequence, wake, META, EVENTS,
-- ENVELOPES, IDS, OPEN, DEADLINES, DELAYED, HELD and SCOPES0 to 2.
local DAY_MS = 86400000
local SCOPES = { [0] = SCOPES0, SCOPES1, SCOPES2 }
local added, addedStates, addedEnvelopes, addedScopes, addedFresh, addedOpen = {}, {}, {}, {}, {}, {}

-- Of an event with `archive` durability, in a cascade or with a deadline, see state.lua. What there is not is false.
local function longState(ordinal, dueAt, archive, tree, deadlineAt)
  local unarchived = archive and view .. '-' .. n .. 'A0'
  local delivery = { 0, archive and dueAt or 0, 0, 0 }
  local state = {
    0, ordinal, sequence, view, n, now, 1, 0, 0, 0, 0, 0, 0, { delivery }, false, false, false, false, unarchived
  }
  if tree or deadlineAt then
    state[20] = tree or false
  end
  if deadlineAt then
    state[21] = deadlineAt
  end
  return state
end

-- An idempotency key, also of an event that is there no more.
local function addScope(id, scope, fingerprint)
  addedScopes[#addedScopes + 1] = scope
  addedScopes[#addedScopes + 1] = id .. ' ' .. string.format('%.0f', now) .. ' ' .. fingerprint
end

-- `scope` is false without an idempotency key, `queue` is the type's `fresh`. With `archive` durability, `archive` is
-- true, and nobody may lease it before it is archived: it is `held`, unless it comes from the log. `tree` says of an
-- emitted event where it belongs, as its state does.
local function addAccepted(id, ordinal, dueAt, scope, fingerprint, envelope, queue, archive, held, tree, deadlineAt)
  sequence = sequence + 1
  added[#added + 1] = id
  addedOpen[ordinal] = (addedOpen[ordinal] or 0) + 1
  addedStates[#addedStates + 1] = id
  addedStates[#addedStates + 1] = (archive or tree or deadlineAt) and longState(ordinal, dueAt, archive, tree, deadlineAt)
    or { 0, ordinal, sequence, view, n, now }
  addedEnvelopes[#addedEnvelopes + 1] = id
  addedEnvelopes[#addedEnvelopes + 1] = envelope
  if scope then
    addScope(id, scope, fingerprint)
  end
  if deadlineAt then
    redis.call('ZADD', DEADLINES, deadlineAt, id)
    redis.call('HSET', META, 'deadlines', 1)
  end
  if held then
    redis.call('ZADD', HELD, sequence, id .. '.' .. ordinal .. '.0')
  elseif dueAt > now then
    redis.call('ZADD', DELAYED, dueAt, id .. '.' .. ordinal .. '.0')
  else
    addedFresh[queue] = addedFresh[queue] or {}
    table.insert(addedFresh[queue], id)
    wakeQueue(ordinal, 0)
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
  for place = 2, #addedStates, 2 do
    addedStates[place] = cjson.encode(addedStates[place])
  end
  redis.call('HSET', EVENTS, unpack(addedStates))
  redis.call('HSET', ENVELOPES, unpack(addedEnvelopes))
  redis.call('RPUSH', IDS, unpack(added))
  for queue, queued in pairs(addedFresh) do
    redis.call('RPUSH', queue, unpack(queued))
  end
  for ordinal, count in pairs(addedOpen) do
    redis.call('HINCRBY', OPEN, ordinal, count)
  end
  redis.call('HSET', META, 'sequence', sequence)
  added, addedStates, addedEnvelopes, addedFresh, addedOpen = {}, {}, {}, {}, {}
end
