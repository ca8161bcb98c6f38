#!lua flags=no-writes
-- The envelope of an event.
--
-- KEYS     below
-- ARGV     1 id
-- RETURNS  the envelope, or nothing
--@keys meta envelopes
--@include gate
return redis.call('HGET', ENVELOPES, ARGV[1])
