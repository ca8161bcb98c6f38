#!lua flags=allow-oom
-- Forgets a partition, in three kinds of steps: the first makes it stand as empty, then the queues of its types go, and
-- in the end all that is left. What goes is freed in the background.
--
-- KEYS     the constant ones below, then queues
-- ARGV     1 epoch, 2 the step (first, queues, last)
-- RETURNS  how many types' queues there are, or -1 when the recovery is not this one's any more; then pairs: the ordinal
--          of a type that has had listeners, and how many
--@keys meta events envelopes results types typeNames policies subscribers ids oldIds settled settledOwn leasedUntil delayed held keyed outbox forgotten scopes0 scopes1 scopes2 open deadlines trees relays relaying redrives
--@include run
--@include recovering
if not recovering(ARGV[1]) then
  return { -1 }
end
if ARGV[2] == 'first' then
  redis.call('HDEL', META, 'logId', 'runId')
end
for index = CONSTANT_KEYS + 1, #KEYS do
  redis.call('UNLINK', KEYS[index])
end
local answer = { redis.call('LLEN', TYPE_NAMES) }
local subscribers = ARGV[2] == 'first' and redis.call('HGETALL', SUBSCRIBERS) or {}
for index = 1, #subscribers, 2 do
  local ordinal = tonumber(subscribers[index])
  if ordinal then
    answer[#answer + 1] = ordinal
    answer[#answer + 1] = #cjson.decode(subscribers[index + 1])
  end
end
if ARGV[2] == 'last' then
  redis.call('UNLINK', EVENTS, ENVELOPES, RESULTS, TYPES, TYPE_NAMES, POLICIES, OPEN, IDS, LEASED_UNTIL, DELAYED, HELD, DEADLINES)
  redis.call('UNLINK', OLD_IDS, SETTLED, SETTLED_OWN, SUBSCRIBERS, OUTBOX, FORGOTTEN, SCOPES0, SCOPES1, SCOPES2)
  redis.call('UNLINK', TREES, RELAYS, RELAYING, REDRIVES, KEYED)
  redis.call('HDEL', META, 'view', 'n', 'sequence', 'lastView', 'lastN', 'day0', 'day1', 'day2')
  redis.call('HDEL', META, 'archivedView', 'archivedN', 'archivedSlot', 'indexed', 'declared')
  redis.call('HDEL', META, 'deadlines', 'listeners', 'leaving', 'redriving')
end
return answer
