#!lua flags=no-writes
-- The clock, and the names of the partition's types, for a recovery.
--
-- KEYS     below
-- ARGV     none
-- RETURNS  ms since the epoch, then names by ordinal
--@keys meta typeNames
--@include clock
return { clock(), redis.call('LRANGE', TYPE_NAMES, 0, -1) }
