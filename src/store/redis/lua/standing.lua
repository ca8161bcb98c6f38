#!lua flags=no-writes
-- How the partition stands, whether or not it is open.
--
-- KEYS     meta
-- ARGV     none
-- RETURNS  1 when it is open, the recovering epoch, the number of partitions; then unless it is empty log id, view, view
--          and n of the last record, and view, n and slot of what is archived; nothing each for what there is not
--@keys meta
--@include run
--@include last
local meta = redis.call(
  'HMGET', META,
  'open', 'runId', 'recovering', 'partitions', 'logId', 'view', 'archivedView', 'archivedN', 'archivedSlot'
)
local open = meta[1] and meta[2] == RUN
local facts = { open and 1 or 0, meta[3], meta[4] }
if not meta[5] then
  return facts
end
local lastView, lastN = lastRecord()
return { facts[1], facts[2], facts[3], meta[5], meta[6], lastView, lastN, meta[7], meta[8], meta[9] }
