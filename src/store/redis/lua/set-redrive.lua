#!lua flags=allow-oom
-- Set redrive: a job that sends past events again is made, goes on by a step, or is cancelled. What is so already is not done
-- again: a command whose answer was lost comes again.
--
-- KEYS     below
-- ARGV     1–7 head, 8 what (create, advance, cancel), 9 id; with create: 10 the version of the listeners that the caller
--          knows, 11 name of the type, 12 whether there is the listener (1 or 0), 13 what is wanted, 14 how far it is,
--          15 and 16 scope and fingerprint of the idempotency key, or nothing each, 17 how many are remembered, 18 how many
--          may be under way; with advance: 10 the step that it goes on from, 11 the status, 12 how far it is
-- RETURNS  whom it wakes, then {0, id, job} set, {1, id, job} the key was used for another, {2} no such type, {3} no such
--          listener, {4} too many, {5, id, job} stale, {6, id, job} ended, {7} no such job, {8} the listeners are not those
--          that the caller knows; jobs as include/redrive.lua keeps them
--@keys meta types redrives outbox
--@include gate
--@include head
--@include record
--@include wake
--@include redrive
--@include redrive-survey
local WHAT, ID = ARGV[8], ARGV[9]
local packed = redis.call('HGET', REDRIVES, ID)
local known = packed and cjson.decode(packed)

local function set(job, forgets)
  recordRedrive(ID, job, forgets)
  noteRecords()
  return { wakeAll(), { 0, ID, cjson.encode(job) } }
end

local function create()
  local scope, fingerprint = ARGV[15], ARGV[16]
  if known then
    return { '', { 0, ID, packed } }
  end
  local count, running, oldest, first = survey(scope)
  if first then
    return { '', { first[2][10] == fingerprint and 0 or 1, first[1], cjson.encode(first[2]) } }
  end
  local ordinal = tonumber(redis.call('HGET', TYPES, ARGV[11]) or nil)
  if not ordinal then
    return { '', { 2 } }
  elseif listenersVersion ~= tonumber(ARGV[10]) then
    return { '', { 8 } }
  elseif ARGV[12] == '0' then
    return { '', { 3 } }
  elseif running >= tonumber(ARGV[18]) then
    return { '', { 4 } }
  end
  local forgets = count >= tonumber(ARGV[17]) and oldest or false
  local claim = scope ~= ''
  return set(
    { ordinal, 0, 'running', now, false, false, ARGV[13], ARGV[14], claim and scope, claim and fingerprint }, forgets
  )
end

local function advance()
  local after, status, progress = tonumber(ARGV[10]), ARGV[11], ARGV[12]
  if known[2] == after + 1 and known[8] == progress then
    return { '', { 0, ID, packed } }
  end
  if known[2] ~= after or known[3] == 'done' or known[3] == 'failed' then
    return { '', { 5, ID, packed } }
  end
  known[2], known[8] = after + 1, progress
  -- What was under way when it was cancelled counts, and changes nothing else.
  if known[3] == 'running' then
    known[3], known[5] = status, status ~= 'running' and now
  end
  return set(known, false)
end

local function cancel()
  if known[3] == 'cancelled' then
    return { '', { 0, ID, packed } }
  elseif known[3] ~= 'running' then
    return { '', { 6, ID, packed } }
  end
  known[3], known[5] = 'cancelled', now
  return set(known, false)
end

if WHAT == 'create' then
  return create()
elseif not known then
  return { '', { 7 } }
end
return WHAT == 'advance' and advance() or cancel()
