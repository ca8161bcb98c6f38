#!lua flags=allow-oom
-- Replay: records of the log or of a checkpoint are applied, as they were when they were made. Those that the state has
-- are passed over. They do not go to the outbox. What they change is gathered and written in the end, each event once.
--
-- KEYS     the constant ones below, then the queues and calls of the records
-- ARGV     1–7 head, 8 epoch, 9–11 view, n and slot of what is archived with them, or nothing each; 12 the records as one
--          JSON array; 13 where each of the bodies ends, as one JSON array; 14 the bodies.
--          A record is [view, n, the record as include/record.lua writes it, which of the bodies or 0, and which keys it
--          needs, 0 for none: `fresh` for A, a list of them when it names listeners; `fresh`, `again` and the call for G;
--          `again` for H and R].
--          Records of whole events stand together, see whole-events.ts: [view and n of the last, [Z, time, which of the
--          bodies is the first event's, ordinals of the types of those that are accepted, in order, which of the bodies
--          are the ids of those that are completed, in order, idempotency keys, each with what is remembered under it, and
--          view and n of the first record in this call that is of a whole event], 0, 0, 0, 0]. Such an event has four
--          bodies: id, state without its beginning, envelope, result
-- RETURNS  1, or 0 when the recovery is not this one's any more
--@keys meta events envelopes results types typeNames policies subscribers ids oldIds settled settledOwn leasedUntil delayed held keyed outbox forgotten scopes0 scopes1 scopes2 open deadlines trees relays relaying redrives
--@include run
--@include recovering
--@include last
--@include head
--@include clock
local EPOCH = ARGV[8]
if not recovering(EPOCH) then
  return 0
end
-- Time and place of the record in hand.
local now, view, n
local sequence = tonumber(redis.call('HGET', META, 'sequence') or 0)
local listenersVersion = 0
local declared = redis.call('HGET', META, 'declared')
--@include deferred
--@include wake
--@include state
--@include type-set
--@include accepted

-- Events that were loaded or changed, by id; where the state of an accepted one stands among those to be written; and
-- which of those wait in a list that is still to be written.
local changed, addedAt, inFresh = {}, {}, {}
-- By queue, whose it is; by type, how many listeners it has had, and whether its vacant ordinal is known to be leased from.
local listenerOf, listenerCounts, knownLeased = {}, {}, {}

-- A delivery in `inFresh`.
local function freshName(id, listener)
  return listener == 0 and id or id .. '.' .. listener
end
local loadStored = loadState

local function loadState(id)
  local state = changed[id]
  if not state then
    local at = addedAt[id]
    if at and type(addedStates[at]) == 'string' then
      addedStates[at] = cmsgpack.unpack(addedStates[at])
    end
    state = at and unfoldState(addedStates[at]) or loadStored(id)
    changed[id] = state or nil
  end
  return state
end
--@include apply
--@include granted
--@include listeners
--@include relay
--@include redriven
--@include redrive
--@include pruned
--@include note-archived
local RECORDS, ENDS, BODIES = 12, 13, 14
local ADDED_AT_ONCE = 2000
local CLOCK = clock()
local bodyEnds = cjson.decode(ARGV[ENDS])

-- All in one argument are read far quicker, by Redis and by who sends them.
local function bodyAt(place)
  return string.sub(ARGV[BODIES], (bodyEnds[place - 1] or 0) + 1, bodyEnds[place])
end

local function writeAll()
  local states = {}
  for id, state in pairs(changed) do
    if not addedAt[id] then
      states[#states + 1] = id
      states[#states + 1] = cmsgpack.pack(state)
    end
  end
  for queue, ids in pairs(addedFresh) do
    local waiting = {}
    for _, id in ipairs(ids) do
      if inFresh[freshName(id, listenerOf[queue])] then
        waiting[#waiting + 1] = id
      end
    end
    addedFresh[queue] = #waiting > 0 and waiting or nil
  end
  applyAccepted()
  callInSlices('HSET', EVENTS, states)
  writeTallies()
  writeDeferred()
  writeTrees()
  changed, addedAt, inFresh = {}, {}, {}
end

-- Out of whichever queue it stands in: mostly the head of one, behind entries whose delivery does not wait any more.
local function takeFromQueues(id, state, listener, fresh, again)
  if inFresh[freshName(id, listener)] then
    inFresh[freshName(id, listener)] = nil
    return
  end
  local member = memberOf(id, state, listener)
  local out = redis.call('ZREM', DELAYED, member)
  if state[UNARCHIVED] then
    out = out + redis.call('ZREM', HELD, member)
  end
  tallyOf(state, listener, 'D', -out)
  if out + redis.call('ZREM', again, id) > 0 then
    return
  end
  local short = redis.call('LINDEX', fresh, 0)
  local head = short and longId(short)
  while head and head ~= id do
    local other = loadState(head)
    local delivery = other and deliveryOf(other, listener)
    if delivery and delivery[STATE] == WAITING then
      break
    end
    redis.call('LPOP', fresh)
    tallyOf(state, listener, 'X', -1)
    short = redis.call('LINDEX', fresh, 0)
    head = short and longId(short)
  end
  redis.call('LREM', fresh, 1, shortId(id))
end

local function noteLeased(typeOrdinal, listener)
  listenerCounts[typeOrdinal] = listenerCounts[typeOrdinal] or #loadListeners(typeOrdinal)
  if listener == listenerCounts[typeOrdinal] and not knownLeased[typeOrdinal] then
    knownLeased[typeOrdinal] = true
    markLeased(typeOrdinal)
  end
end

local function grant(id, state, listener, delivery, entry, keys)
  local grant, count, token, worker, expiresAt = entry[6], entry[7], entry[8], entry[9], entry[10]
  takeFromQueues(id, state, listener, keys[1], keys[2])
  noteLeased(state[TYPE], listener)
  applyGranted(id, state, listener, delivery, grant, count, token, worker, expiresAt)
  redis.call('ZADD', LEASED_UNTIL, expiresAt, memberOf(id, state, listener))
  if expiresAt <= CLOCK or not keys[3] then
    return
  end
  local claim = entry[12]
  local call = recallCall(keys[3])
  if not call or call[1] ~= claim or call[2] ~= expiresAt then
    call = { claim, expiresAt }
  end
  -- The call may have outlived what was emptied, and know the lease already.
  for place = 6, #call, 4 do
    if call[place] == token then
      return
    end
  end
  rememberGrant(call, id, listener, grant, token)
  rememberCall(keys[3], call, CLOCK)
end

-- What the records of an attempt that is there do.
local onAttempt = {
  H = function(id, state, listener, delivery, attempt, _, _, again)
    applyHandedBack(id, state, listener, delivery, attempt, again)
  end,
  R = function(id, state, listener, delivery, attempt, entry, body, again)
    applyRetried(id, state, listener, delivery, attempt, entry[7], entry[8], entry[9], again, body)
  end,
  C = function(id, state, listener, delivery, attempt, entry, body)
    applyCompleted(id, state, listener, delivery, attempt, entry[7], entry[8], entry[9], body, entry[10])
  end,
  D = function(id, state, listener, delivery, attempt, entry, body)
    applyDead(id, state, listener, delivery, attempt, entry[7], entry[8], body)
  end,
}

local function accept(id, entry, body, queue)
  local dueAt, receivers = entry[5], entry[12] or nil
  local tree = entry[9] and entry[9] .. ' ' .. entry[10] .. ' 0'
  addAccepted(
    id, entry[4], dueAt, entry[6], entry[7], body, queue, entry[8] == 1, false, tree, entry[11] or nil, receivers,
    entry[13] or nil, entry[14]
  )
  local past = entry[14] and loadState(entry[14])
  if past then
    noteRedriven(past, id)
  end
  addedAt[id] = #addedStates
  for place = 1, receivers and #receivers or 1 do
    local listener = receivers and receivers[place] or 0
    local key = receivers and queue[place] or queue
    local waiting = addedFresh[key]
    listenerOf[key] = listener
    -- Not when it is not due yet, or waits behind others of its key.
    inFresh[freshName(id, listener)] = waiting and waiting[#waiting] == id or nil
  end
end

-- By the place of their ids.
local typeOfWhole = {}
-- How an array of so many begins in MessagePack.
local SIXTEEN_PLACES = '\220\000\016'

-- Whole events: in the state they are as they were in the end, and in no queue.
local function applyWhole(entry)
  local first, ordinals, completed, scopes = entry[3], entry[4], entry[5], entry[6]
  local place = first
  for _, ordinal in ipairs(ordinals) do
    local id = bodyAt(place)
    sequence = sequence + 1
    added[#added + 1] = id
    addedStates[#addedStates + 1] = id
    addedStates[#addedStates + 1] = SIXTEEN_PLACES .. cmsgpack.pack(1, ordinal, sequence) .. bodyAt(place + 1)
    addedAt[id] = #addedStates
    addedEnvelopes[#addedEnvelopes + 1] = id
    addedEnvelopes[#addedEnvelopes + 1] = bodyAt(place + 2)
    redis.call('HSET', RESULTS, id .. '.0.1', bodyAt(place + 3))
    noteLeased(ordinal, 0)
    typeOfWhole[place] = ordinal
    place = place + 4
  end
  for _, at in ipairs(completed) do
    local id = bodyAt(at)
    if hasOwnRetention(typeOfWhole[at]) then
      local state = loadState(id)
      noteSettled(id, state[TYPE], state[COMPLETED_AT], state[ENDED_VIEW], state[ENDED_N])
    else
      redis.call('RPUSH', SETTLED, id)
    end
  end
  for index = 1, #scopes do
    addedScopes[#addedScopes + 1] = scopes[index]
  end
end

-- What is recorded of a type's listeners.
local onListener = {
  S = function(ordinal, entry)
    applyListenerSet(ordinal, entry[5], entry[6], entry[7], entry[8])
    listenerCounts[ordinal], knownLeased[ordinal] = nil, nil
  end,
  U = function(ordinal, entry)
    applyListenerGone(ordinal, entry[5], false)
  end,
  W = function(ordinal, entry)
    applyListenerGone(ordinal, entry[5], true)
  end,
  F = function(ordinal)
    markLeased(ordinal)
  end,
  V = function(ordinal, entry)
    local job = { ordinal }
    for place = 6, 14 do
      job[#job + 1] = entry[place]
    end
    applyRedriveSet(entry[5], job, entry[15])
  end,
}

-- False when the record does not fit the state.
local function apply(entry, body, keys)
  local op, id = entry[1], entry[3]
  if op == 'Z' then
    applyWhole(entry)
    return true
  end
  if op == 'T' then
    applyTypeSet(entry[3], entry[4], entry[5], entry[6], entry[7])
    declared = declared or entry[5]
    forgetRetentions()
    return true
  end
  if op == 'A' then
    accept(id, entry, body, keys[1])
    return true
  end
  if onListener[op] then
    onListener[op](entry[4], entry)
    return true
  end
  if op == 'K' then
    addScope(id, entry[5], entry[6])
    return true
  end
  if op == 'I' then
    noteIndexed(entry[3])
    return true
  end
  if op == 'P' and (changed[id] or addedAt[id]) then
    writeAll()
  end
  local state = loadState(id)
  if not state then
    return false
  end
  if op == 'P' then
    applyPruned(id, state, entry[5])
    changed[id] = nil
    return true
  end
  local listener = op ~= 'M' and op ~= 'Y' and entry[5]
  local delivery = listener and deliveryOf(state, listener)
  if op == 'Q' then
    applyCancelRequested(id, state)
  elseif op == 'M' then
    applyEmitted(id, state, entry[5], entry[6], entry[7], entry[8] == 1, entry[9], body, entry[10])
  elseif op == 'Y' then
    local relay = redis.call('HGET', RELAYS, entry[5])
    if not relay then
      return false
    end
    applyRelayed(state, entry[5], cjson.decode(relay)[2])
  elseif op == 'X' or op == 'E' then
    endUnworked(id, state, op == 'X' and BY_CANCEL or BY_DEADLINE)
    if state[UNARCHIVED] then
      for place = 1, #state[DELIVERIES] do
        removeHeld(id, state, listenerAt(state, place))
      end
    end
  elseif not delivery then
    return false
  elseif op == 'N' then
    applyUnsubscribed(id, state, listener, entry[6], entry[7])
  elseif op == 'G' then
    grant(id, state, listener, delivery, entry, keys)
  else
    local attempt = attemptOf(delivery, entry[6])
    if op == 'L' then
      applyLate(id, state, listener, entry[6], attempt, body)
    elseif attempt and onAttempt[op] then
      onAttempt[op](id, state, listener, delivery, attempt, entry, body, keys[1])
    else
      return false
    end
  end
  return true
end

local function keyAt(place)
  if type(place) == 'table' then
    local keys = {}
    for index, each in ipairs(place) do
      keys[index] = KEYS[CONSTANT_KEYS + each]
    end
    return keys
  end
  return place > 0 and KEYS[CONSTANT_KEYS + place]
end

local records = cjson.decode(ARGV[RECORDS])
local lastView, lastN = lastRecord()
local knownView, knownN = lastView, lastN
local misfit
-- Of whole events the state has nothing, or it has all that this call brings.
local function fits(entry)
  return entry[1] ~= 'Z' or not knownView or knownView < entry[7] or (knownView == entry[7] and knownN < entry[8])
end

for _, record in ipairs(records) do
  view, n = record[1], record[2]
  if not lastView or view > lastView or (view == lastView and n > lastN) then
    local entry = record[3]
    local at = entry[2]
    -- Idempotency keys are kept by day.
    if now and #addedScopes > 0 and math.floor(at / DAY_MS) ~= math.floor(now / DAY_MS) then
      rememberScopes()
      addedScopes = {}
    end
    now = at
    local keys = { keyAt(record[5]), keyAt(record[6]), keyAt(record[7]) }
    if not fits(entry) or not apply(entry, record[4] > 0 and bodyAt(record[4]) or '', keys) then
      misfit = string.format('%.0f-%.0f', view, n)
      break
    end
    lastView, lastN = view, n
    -- Lua takes no more arguments to a call.
    if #added >= ADDED_AT_ONCE then
      writeAll()
    end
  end
end
writeAll()
shortenLists(2 * #records)
if lastView then
  redis.call('HSET', META, 'lastView', lastView, 'lastN', lastN)
end
if misfit then
  return redis.error_reply('MISFIT record ' .. misfit .. ' of the log does not fit the state')
end
if ARGV[9] ~= '' then
  local archivedView, archivedN = tonumber(ARGV[9]), tonumber(ARGV[10])
  noteArchived(archivedView, archivedN, ARGV[11])
  -- A checkpoint leaves out what matters no more, also at its end.
  if not lastView or archivedView > lastView or (archivedView == lastView and archivedN > lastN) then
    redis.call('HSET', META, 'lastView', archivedView, 'lastN', archivedN)
  end
end
return 1
