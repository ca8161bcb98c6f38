#!lua flags=no-writes
-- The names of the partition's types, by ordinal.
--
-- KEYS     meta, typeNames
-- ARGV     1 the first ordinal wanted
-- RETURNS  names
--@keys meta typeNames
--@include gate
return redis.call('LRANGE', TYPE_NAMES, ARGV[1], -1)
