#!lua flags=allow-oom
-- Adopts what this server has as it is, without looking at a log: sets a partition up that is new, and opens again one
-- that was open when the server ended. A partition that was closed stays so.
--
-- KEYS     meta
-- ARGV     1 a new log id, or nothing: what is not there is not set up, 2 the number of partitions
-- RETURNS  the log id and the number of partitions as they are now
--@keys meta
--@include run
--@include word
local meta = redis.call('HMGET', META, 'open', 'runId', 'view', 'logId')
if ARGV[1] ~= '' and redis.call('EXISTS', META) == 0 then
  redis.call('HSET', META, 'logId', ARGV[1], 'partitions', ARGV[2], 'view', 1, 'n', 0, 'sequence', 0)
  openGate(ARGV[1], 1)
elseif meta[1] and meta[2] ~= RUN then
  openGate(meta[4], meta[3])
end
return redis.call('HMGET', META, 'logId', 'partitions')
