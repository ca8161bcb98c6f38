#!lua flags=allow-oom
-- Set type: what somebody declares of a type, and whether it is paused. What is so already is not done again, whatever
-- its condition: a command whose answer was lost comes again.
--
-- KEYS     below
-- ARGV     1–7 head, 8 most types, 9 name, 10 what (declare, reset, pause, resume), 11 for the first two: the version that
--          the type must have, or `any`, or nothing, 12 with declare: the policy
-- RETURNS  whom it wakes, then {0, version, paused, policy or nothing, how many events are not
--          complete} set, {1} no such type, {2, version} a version must
--          be named, {3, version} the version is another, {4} too many types
--@keys meta types typeNames policies subscribers outbox open
--@include gate
--@include head
--@include record
--@include wake
--@include type-set
--@include listeners
local TYPES_MAX = tonumber(ARGV[8])
local NAME, WHAT, IF_VERSION = ARGV[9], ARGV[10], ARGV[11]
local conditional = WHAT == 'declare' or WHAT == 'reset'

local ordinal = tonumber(redis.call('HGET', TYPES, NAME) or nil)
local known = ordinal ~= nil
if not known and WHAT ~= 'declare' then
  return { '', { 1 } }
end
local rules = known and redis.call('HGET', POLICIES, ordinal)
rules = rules and cjson.decode(rules) or { version = 0, paused = false }
local text = known and redis.call('HGET', POLICIES, ordinal .. '.text')

local open = known and tonumber(redis.call('HGET', OPEN, ordinal) or 0) or 0
local version, paused, policy = rules.version, rules.paused, text
if WHAT == 'declare' then
  policy = ARGV[12]
elseif WHAT == 'reset' then
  policy = false
else
  paused = WHAT == 'pause'
end
if known and policy == text and paused == rules.paused then
  return { '', { 0, version, paused and 1 or 0, text, open } }
end
if conditional then
  if IF_VERSION == '' and version > 0 then
    return { '', { 2, version } }
  end
  local holds = IF_VERSION == '' or tonumber(IF_VERSION) == version
  if IF_VERSION == 'any' then
    holds = known
  end
  if not holds then
    return { '', { 3, version } }
  end
  version = version + 1
end
if not known then
  ordinal = redis.call('LLEN', TYPE_NAMES)
  if ordinal >= TYPES_MAX then
    return { '', { 4 } }
  end
end

record('T', now, NAME, ordinal, version, policy, paused and 1 or 0)
applyTypeSet(NAME, ordinal, version, policy, paused and 1 or 0)
if WHAT == 'resume' then
  -- Whoever gets some of what waits wakes the next.
  for listener = 0, #loadListeners(ordinal) do
    wakeQueue(ordinal, listener)
  end
end
noteRecords()
return { wakeAll(), { 0, version, paused and 1 or 0, policy, open } }
