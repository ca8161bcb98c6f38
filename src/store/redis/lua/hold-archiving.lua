#!lua flags=allow-oom
-- Who archives this partition for now. It saves work and protects nothing, so it may be lost. The gate does not matter:
-- it is the archiver that has it opened.
--
-- KEYS     below
-- ARGV     1 holder, 2 for how many ms
-- RETURNS  1 when it is the holder's
--@keys meta archiving
local holder = redis.call('GET', ARCHIVING)
if holder and holder ~= ARGV[1] then
  return 0
end
redis.call('SET', ARCHIVING, ARGV[1], 'PX', ARGV[2])
return 1
