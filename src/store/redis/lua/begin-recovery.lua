#!lua flags=allow-oom
-- Closes the gate, for a recovery that is told apart by its epoch.
--
-- KEYS     meta
-- ARGV     1 epoch, 2 the number of partitions
-- RETURNS  1, or 0 when a higher epoch has begun
--@keys meta
--@include run
local begun = tonumber(redis.call('HGET', META, 'recovering') or 0)
if begun > tonumber(ARGV[1]) then
  return 0
end
redis.call('HDEL', META, 'open')
redis.call('HSET', META, 'recovering', ARGV[1], 'recoveringRun', RUN)
redis.call('HSETNX', META, 'partitions', ARGV[2])
return 1
