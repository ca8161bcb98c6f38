#!lua flags=no-writes
-- The newest part of the log's index that prune.lua was told of.
--
-- KEYS     below
-- ARGV     none
-- RETURNS  its slot, or nothing
--@keys meta
--@include gate
return redis.call('HGET', META, 'indexed')
