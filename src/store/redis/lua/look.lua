#!lua flags=no-writes
-- Whether the partition is open, so that scripts can be loaded, and what it was opened as.
--
-- KEYS     meta
-- ARGV     none
-- RETURNS  this run of the server, the run that was opened, the gate's word, log id, view and the last archived slot;
--          nothing each for what there is not
--@keys meta
--@include run
return { RUN, unpack(redis.call('HMGET', META, 'runId', 'open', 'logId', 'view', 'archivedSlot')) }
