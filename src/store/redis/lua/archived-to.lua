#!lua flags=no-writes
-- What mark-archived.lua last noted.
--
-- KEYS     below
-- ARGV     none
-- RETURNS  view, n and slot, or nothing each
--@keys meta
--@include gate
return redis.call('HMGET', META, 'archivedView', 'archivedN', 'archivedSlot')
