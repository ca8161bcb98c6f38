#!lua flags=no-writes
-- Whether the partition is open, so that scripts can be loaded.
--
-- KEYS     meta
-- ARGV     none
-- RETURNS  this run of the server, the run that was opened and the gate's word; nothing each for what there is not
--@keys meta
--@include run
return { RUN, unpack(redis.call('HMGET', META, 'runId', 'open')) }
