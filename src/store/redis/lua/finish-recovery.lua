#!lua flags=allow-oom
-- The state is that of the log: positions go on in a new view, and the gate opens for this run of the server, unless
-- another recovery is to come.
--
-- KEYS     meta
-- ARGV     1 epoch, 2 log id, 3 view, 4 whether the gate stays closed (1 or 0)
-- RETURNS  1, also when it has been done before; or 0 when the recovery is not this one's any more
--@keys meta
--@include run
--@include recovering
--@include word
--@include last
local meta = redis.call('HMGET', META, 'open', 'runId', 'recovering')
if meta[1] and meta[2] == RUN and meta[3] == ARGV[1] then
  return 1
end
if not recovering(ARGV[1]) then
  return 0
end
local lastView, lastN = lastRecord()
if lastView then
  redis.call('HSET', META, 'lastView', lastView, 'lastN', lastN)
end
redis.call('HSET', META, 'logId', ARGV[2], 'view', ARGV[3], 'n', 0)
redis.call('HSETNX', META, 'sequence', 0)
if ARGV[4] == '0' then
  openGate(ARGV[2], ARGV[3])
end
return 1
