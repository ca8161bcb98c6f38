#!lua
-- Sets a partition up, or looks at how it was set up before. Runs before there is a gate to look at.
--
-- KEYS     meta
-- ARGV     1 a new log id, 2 the number of partitions
-- RETURNS  the log id, the number of partitions and the gate as they are now
--@keys meta
if redis.call('EXISTS', META) == 0 then
  redis.call('HSET', META, 'logId', ARGV[1], 'partitions', ARGV[2], 'view', 1, 'n', 0, 'sequence', 0, 'open', 1)
end
return redis.call('HMGET', META, 'logId', 'partitions', 'open')
