#!lua flags=no-writes
-- The names of the partition's types, by ordinal, for a recovery.
--
-- KEYS     below
-- ARGV     none
-- RETURNS  names
--@keys meta typeNames
return redis.call('LRANGE', TYPE_NAMES, 0, -1)
