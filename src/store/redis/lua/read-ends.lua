#!lua flags=no-writes
-- Events as they are kept, for who wants to know how they ended.
--
-- KEYS     below
-- ARGV     ids
-- RETURNS  for each its state, or nothing
--@keys meta events
--@include gate
return redis.call('HMGET', EVENTS, unpack(ARGV))
