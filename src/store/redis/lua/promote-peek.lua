#!lua flags=no-writes
-- Which deliveries' delay or backoff is over, so that their queues can be named to promote.lua.
--
-- KEYS     below
-- ARGV     1 most to return
-- RETURNS  the time, then deliveries as id.ordinal.listener, the longest due first
--@keys meta delayed
--@include gate
return { now, unpack(redis.call('ZRANGE', DELAYED, '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[1])) }
