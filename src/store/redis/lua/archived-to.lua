#!lua flags=no-writes
-- What mark-archived.lua last noted, whether or not the gate is open.
--
-- KEYS     below
-- ARGV     none
-- RETURNS  view, n and slot, or nothing each
--@keys meta
return redis.call('HMGET', META, 'archivedView', 'archivedN', 'archivedSlot')
