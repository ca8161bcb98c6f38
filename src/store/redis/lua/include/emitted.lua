-- What completions emit: events that are accepted in the same step. They are looked at before anything is written.
--
-- Needs head, record, wake, state, accepted, unarchived, TYPES_MAX, CONSTANT_KEYS, META, EVENTS, TYPES and TYPE_NAMES.

-- HSET takes what one completion emits, and as much again.
local ADDED_MAX = 1000

-- Ordinals that were guessed are the types' own, or those of types that come with this. Gives what speaks against it: 4 too
-- many types, 5 a wrong guess, or listeners that are not those that the caller knows; nothing when it may be done.
local function checkEmit(emit, version)
  if #emit > 0 and version ~= listenersVersion then
    return 5
  end
  local count
  local fresh = {}
  for _, child in ipairs(emit) do
    if child.guess and not child.elsewhere then
      local known = fresh[child.type] or tonumber(redis.call('HGET', TYPES, child.type) or nil)
      count = count or redis.call('LLEN', TYPE_NAMES)
      if not known then
        if count >= TYPES_MAX then
          return 4
        end
        known = count
        count = count + 1
        fresh[child.type] = known
        child.declares = true
      end
      if known ~= child.ordinal then
        return 5
      end
    end
  end
end

-- Their ids.
local function idsOf(emit)
  local ids = {}
  for index, child in ipairs(emit) do
    ids[index] = child.id
  end
  return ids
end

-- After `checkEmit`, and after the completion has been recorded. Gives view and n of the last one that is promised to be
-- archived, or nothing.
local function acceptEmitted(id, state, emit)
  local root = rootOf(state) or id
  local promisedN
  for _, child in ipairs(emit) do
    if child.declares then
      record('T', now, child.type, child.ordinal)
      applyTypeSet(child.type, child.ordinal)
    end
    -- What a promise of `archive` has brought about is promised too.
    local archive = child.archive or (state[UNARCHIVED] and true or false)
    local dueAt = child.key and now or now + child.delayMs
    if child.elsewhere then
      record('M', now, id, state[TYPE], child.id, child.type, dueAt, archive and 1 or 0, root, child.key)
      applyEmitted(id, state, child.id, child.type, dueAt, archive, root, child.envelope, child.key)
    else
      local deadlineMs = policyOf(child.ordinal).deadlineMs
      local deadlineAt = deadlineMs and now + deadlineMs
      local receivers, queues = readReceivers(child.listeners)
      if deadlineAt or receivers or child.key then
        local archives, ends, listeners = archive and 1 or 0, deadlineAt or false, receivers or (child.key and false)
        record(
          'A', now, child.id, child.ordinal, dueAt, false, false, archives, id, root, ends, listeners, child.key
        )
      else
        record('A', now, child.id, child.ordinal, dueAt, false, false, archive and 1 or 0, id, root)
      end
      addAccepted(
        child.id, child.ordinal, dueAt, false, false, child.envelope, queues or KEYS[CONSTANT_KEYS + child.queue],
        archive, archive, id .. ' ' .. root .. ' 0', deadlineAt, receivers, child.key
      )
    end
    promisedN = archive and n or promisedN
  end
  if #added > ADDED_MAX then
    applyAccepted()
  end
  return promisedN and view, promisedN
end

-- View and n of that acceptance among those of `emitted` which is archived last; nothing when none has to be any more.
local function unarchivedEmission(emitted)
  -- They may come from this very call.
  applyAccepted()
  for place = #emitted, 1, -1 do
    local relay = redis.call('HGET', RELAYS, emitted[place])
    local packed = not relay and redis.call('HGET', EVENTS, emitted[place])
    local someView, someN
    if relay then
      local known = cjson.decode(relay)
      someView, someN = known[5] == 1 and known[6], known[7]
    elseif packed then
      local child = unpackState(packed)
      someView, someN = child[UNARCHIVED] and child[VIEW], child[N]
    end
    if someView and isUnarchived(someView, someN) then
      return someView, someN
    end
  end
end

-- Puts that into an answer, where `promise` puts it, if it is archived later than what stands there.
local function promiseEmitted(answer, someView, someN)
  local notedView, notedN = answer[7], answer[8]
  if someView and (not notedView or someView > notedView or (someView == notedView and someN > notedN)) then
    answer[7], answer[8] = someView, someN
    wakeArchiver()
  end
  return answer
end
