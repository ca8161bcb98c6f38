#!lua flags=allow-oom
-- Somebody waits until what has been recorded is archived: told to all processes, for one of them archives.
--
-- KEYS     below
-- ARGV     1–7 head
-- RETURNS  whom it wakes
--@keys meta
--@include gate
--@include head
--@include wake
wakeArchiver()
return { wakeAll() }
