#!lua
-- Declares listeners of a type, as the caller has decided who knows how they stand: looked at again, then written. Not
-- allow-oom: a full Redis refuses it before it has begun.
--
-- KEYS     below
-- ARGV     1–7 head, 8 the version of the listeners that the caller knows, 9 most types, 10 name of the type, 11 its ordinal
--          (a guess when there is no such type), 12 whether somebody has leased from the vacant ordinal, as far as the caller
--          knows (1 or 0), 13 nothing, or the id of the job by which the last of the listeners gets past events, 14 what is
--          wanted of that, 15 how far it is, 16 how many jobs are remembered, 17 how many may be under way; then for each listener: its ordinal, name, whether it is a responder (1 or 0), filter or nothing
-- RETURNS  whom it wakes, then 0 done, 1 something is not as the caller knows it, 2 too many types, 3 too many jobs; and the new version
--@keys meta types typeNames subscribers redrives outbox
--@include gate
--@include head
--@include record
--@include wake
--@include listeners
--@include redrive
--@include redrive-survey
local NAME, ORDINAL = ARGV[10], tonumber(ARGV[11])
local FIELDS = 4
local JOB = ARGV[13]
local known = tonumber(redis.call('HGET', TYPES, NAME) or nil)
local leased = redis.call('HEXISTS', SUBSCRIBERS, ARGV[11] .. '.leased')
if listenersVersion ~= tonumber(ARGV[8]) or leased ~= tonumber(ARGV[12]) or (known and known ~= ORDINAL) then
  return { '', 1 }
end
local jobs, running, oldest = survey('')
if JOB ~= '' and running >= tonumber(ARGV[17]) then
  return { '', 3 }
end
if not known then
  local types = redis.call('LLEN', TYPE_NAMES)
  if types >= tonumber(ARGV[9]) then
    return { '', 2 }
  end
  if types ~= ORDINAL then
    return { '', 1 }
  end
  record('T', now, NAME, ORDINAL)
  redis.call('HSET', TYPES, NAME, ORDINAL)
  redis.call('RPUSH', TYPE_NAMES, NAME)
end
for first = 18, #ARGV, FIELDS do
  local ordinal, responder = tonumber(ARGV[first]), tonumber(ARGV[first + 2])
  local filter = ARGV[first + 3] ~= '' and ARGV[first + 3]
  record('S', now, '', ORDINAL, ordinal, ARGV[first + 1], responder, filter)
  applyListenerSet(ORDINAL, ordinal, ARGV[first + 1], responder, filter)
end
if JOB ~= '' then
  local forgets = jobs >= tonumber(ARGV[16]) and oldest or false
  recordRedrive(JOB, { ORDINAL, 0, 'running', now, false, false, ARGV[14], ARGV[15], false, false }, forgets)
end
noteRecords()
return { wakeAll(), 0 }
