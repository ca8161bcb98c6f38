#!lua flags=allow-oom
-- Complete: a listener's result ends its attempt and, mostly, the event. Each item is checked, then written.
--
-- KEYS     the constant ones below, then the queues `again` of the items and `fresh` of what they emit
-- ARGV     1–7 head, 8 most types, 9 the version of the listeners that the caller knows; then for each item: id, ordinal,
--          listener, grant, which of the queues, token, outcome (1 success, 2 fail), retry (never, policy, after), ms after which, fingerprint, result, how many events it emits;
--          then for each of those: id, type, its ordinal, what is said about it (as for accept; 4 more when the type lives
--          in another partition: then neither ordinal nor queue), which of the queues, delay in ms, envelope, the listeners that get it as for accept, and the
--          ordering key as for accept
-- RETURNS  whom it wakes, the version of the listeners, then for each item: {0, status, outcome, reason, retryAt, ids of
--          what it emitted or 0} completed, with view and n behind it of what must be archived before the answer is given;
--          {1} lease lost, {2} conflict, {3} unknown, {4} too many types, {5} the ordinal of a type was guessed wrong, or it
--          emits and the listeners are not those that the caller knows
--@keys meta policies events envelopes results types typeNames ids leasedUntil delayed held keyed settled settledOwn outbox scopes0 scopes1 scopes2 open deadlines trees relays relaying forgotten
--@include gate
--@include head
--@include record
--@include deferred
--@include wake
--@include state
--@include accepted

-- All states that are asked for are read at once, and what has changed is written at once. What has been emitted in this very
-- call may be next of its ordering key.
local loadStored = loadState
local packedOf, loaded, changed = {}, {}, {}

local function loadState(id)
  local state = loaded[id] or (packedOf[id] and unpackState(packedOf[id])) or loadStored(id)
  if not state and #added > 0 then
    applyAccepted()
    state = loadStored(id)
  end
  loaded[id] = state
  return state
end

local function saveState(id, state)
  loaded[id], changed[id] = state, state
end

local function writeStates()
  local states = {}
  for id, state in pairs(changed) do
    states[#states + 1] = id
    states[#states + 1] = cmsgpack.pack(state)
  end
  callInSlices('HSET', EVENTS, states)
end
--@include attempt
--@include type-set
--@include relay
local TYPES_MAX = tonumber(ARGV[8])
--@include emitted
local FIELDS = 12
local EMIT_FIELDS = 9
local LISTENERS_KNOWN = tonumber(ARGV[9])

-- How the event stood when the attempt had ended.
local function standing(attempt, state)
  if attempt[ASIDE] == 1 then
    return { 0, IN_PROCESS, 0, 0, attempt[RETRY_AT], attempt[EMITTED] or 0 }
  end
  if attempt[ASIDE] == 2 then
    return { 0, COMPLETE, state[OUTCOME], state[REASON], attempt[RETRY_AT], attempt[EMITTED] or 0 }
  end
  if attempt[END] == RETRIED then
    return { 0, IN_PROCESS, 0, 0, attempt[RETRY_AT], 0 }
  end
  if attempt[END] == DEAD then
    return { 0, COMPLETE, FAIL, BY_ATTEMPTS, 0, 0 }
  end
  return { 0, COMPLETE, attempt[END_OUTCOME], attempt[END_REASON], 0, attempt[EMITTED] or 0 }
end

-- The lease is lost. What its holder has to say changes nothing; the first such word is kept for people.
local function keepLate(item, state, delivery, attempt)
  local id, listener = item.id, item.listener
  local overdue = attempt[END] == LIVE and isOver(state, delivery)
  if overdue then
    endOverdue(id, state, listener, delivery, item.queue)
  end
  local own = attempt[TOKEN] == item.token and attempt[LATE_AT] == 0
  if own then
    record('L', now, id, state[TYPE], listener, attempt[GRANT], item.fingerprint)
    applyLate(id, state, listener, attempt[GRANT], attempt, item.result)
  end
  if overdue or own then
    saveState(id, state)
  end
  return { 1 }
end

local function finish(item, state, delivery, attempt, outcome, reason)
  local id, listener, fingerprint = item.id, item.listener, item.fingerprint
  local emit = item.emit
  if #emit == 0 then
    record('C', now, id, state[TYPE], listener, attempt[GRANT], outcome, reason, fingerprint)
    applyCompleted(id, state, listener, delivery, attempt, outcome, reason, fingerprint, item.result)
    return
  end
  local emitted = idsOf(emit)
  record('C', now, id, state[TYPE], listener, attempt[GRANT], outcome, reason, fingerprint, emitted)
  applyCompleted(id, state, listener, delivery, attempt, outcome, reason, fingerprint, item.result, emitted)
  item.promisedView, item.promisedN = acceptEmitted(id, state, emit)
end

local function die(item, state, delivery, attempt)
  local id, listener, fingerprint = item.id, item.listener, item.fingerprint
  record('D', now, id, state[TYPE], listener, attempt[GRANT], 1, fingerprint)
  applyDead(id, state, listener, delivery, attempt, 1, fingerprint, item.result)
end

local function retry(item, state, delivery, attempt)
  local id, listener, fingerprint = item.id, item.listener, item.fingerprint
  local waitMs = item.afterMs
  if item.retry == 'policy' then
    waitMs = backoffMs(id, state, listener, delivery)
  end
  local dueAt = now + waitMs
  record('R', now, id, state[TYPE], listener, attempt[GRANT], 1, dueAt, fingerprint)
  applyRetried(id, state, listener, delivery, attempt, 1, dueAt, fingerprint, item.queue, item.result)
end

local function complete(item)
  local state, delivery, attempt = findAttempt(item.id, item.ordinal, item.listener, item.grant)
  if not state then
    return { 3 }
  end
  if not attempt then
    return { 1 }
  end
  -- Before the token: a repeat whose first try was heard gets the first answer, whatever has happened since.
  if attempt[FINGERPRINT] then
    if attempt[FINGERPRINT] ~= item.fingerprint then
      return { 2 }
    end
    local answer = promise(standing(attempt, state), state)
    return attempt[EMITTED] and promiseEmitted(answer, unarchivedEmission(attempt[EMITTED])) or answer
  end
  if not holdsLease(state, delivery, attempt, item.token) then
    return keepLate(item, state, delivery, attempt)
  end

  local ends = item.outcome == SUCCESS or item.retry == 'never'
  local refused = ends and checkEmit(item.emit, LISTENERS_KNOWN)
  if refused then
    return { refused }
  end
  if item.outcome == SUCCESS then
    finish(item, state, delivery, attempt, SUCCESS, 0)
  elseif ends then
    finish(item, state, delivery, attempt, FAIL, BY_LISTENER)
  elseif state[CANCEL_REQUESTED] == 1 then
    -- Somebody asked to cancel the event: the next attempt is the one it will not have.
    item.emit = {}
    finish(item, state, delivery, attempt, FAIL, BY_CANCEL)
  elseif delivery[ATTEMPT] >= policyOf(state[TYPE]).attemptsMax then
    die(item, state, delivery, attempt)
  else
    retry(item, state, delivery, attempt)
  end
  saveState(item.id, state)
  return promiseEmitted(promise(standing(attempt, state), state), item.promisedView, item.promisedN)
end

local function readEmit(first, count)
  local emit = {}
  for index = 1, count do
    local about = ARGV[first + 3]
    emit[index] = {
      id = ARGV[first],
      type = ARGV[first + 1],
      ordinal = tonumber(ARGV[first + 2]),
      guess = about == '1' or about == '3',
      archive = about == '2' or about == '3' or about == '6',
      elsewhere = about == '4' or about == '6',
      queue = tonumber(ARGV[first + 4]),
      delayMs = tonumber(ARGV[first + 5]),
      envelope = ARGV[first + 6],
      listeners = ARGV[first + 7],
      key = ARGV[first + 8] ~= '' and ARGV[first + 8] or nil,
    }
    first = first + EMIT_FIELDS
  end
  return emit
end

local items, ids = {}, {}
local first = FIRST + 2
while first <= #ARGV do
  local count = tonumber(ARGV[first + 11])
  ids[#ids + 1] = ARGV[first]
  items[#items + 1] = {
    id = ARGV[first],
    ordinal = tonumber(ARGV[first + 1]),
    listener = tonumber(ARGV[first + 2]),
    grant = tonumber(ARGV[first + 3]),
    queue = KEYS[CONSTANT_KEYS + tonumber(ARGV[first + 4])],
    token = ARGV[first + 5],
    outcome = tonumber(ARGV[first + 6]),
    retry = ARGV[first + 7],
    afterMs = tonumber(ARGV[first + 8]),
    fingerprint = ARGV[first + 9],
    result = ARGV[first + 10],
    emit = readEmit(first + FIELDS, count),
  }
  first = first + FIELDS + count * EMIT_FIELDS
end
for index, packed in ipairs((packedStates(ids))) do
  packedOf[ids[index]] = packed
end
local answers = {}
for index, item in ipairs(items) do
  answers[index] = complete(item)
end
applyAccepted()
writeStates()
noteRecords()
local woken = wakeAll()
writeDeferred()
return { woken, listenersVersion, unpack(answers) }
