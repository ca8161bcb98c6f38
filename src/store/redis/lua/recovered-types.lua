#!lua flags=no-writes
-- The clock, the last record and the names of the partition's types, for a recovery.
--
-- KEYS     below
-- ARGV     none
-- RETURNS  ms since the epoch; names by ordinal; view and n of the last record, nothing each when there is none
--@keys meta typeNames
--@include clock
--@include last
local view, n = lastRecord()
return { clock(), redis.call('LRANGE', TYPE_NAMES, 0, -1), view, n }
