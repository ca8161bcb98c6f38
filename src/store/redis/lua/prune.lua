#!lua flags=allow-oom
-- Prune: events that ended long ago go, with their bodies, unless something has happened to them since they were looked
-- at. Their idempotency keys stay for as long as they would have. Behind them the lists of ids are made shorter.
--
-- KEYS     below
-- ARGV     1–7 head, 8 by what slot the part of the index is named that has them; then for each event: id, version
-- RETURNS  whom it wakes, then how many went
--@keys meta events envelopes results ids oldIds settled settledOwn outbox trees
--@include gate
--@include head
--@include record
--@include wake
--@include state
--@include redriven
--@include archived
--@include settled
--@include pruned
local INDEX = tonumber(ARGV[8])
local FIELDS = 2

local count = 0
for first = 9, #ARGV, FIELDS do
  local id = ARGV[first]
  local state = loadState(id)
  if state and isSettled(state) and state[VERSION] == tonumber(ARGV[first + 1]) and isArchived(state) then
    record('P', now, id, state[TYPE], INDEX)
    applyPruned(id, state, INDEX)
    count = count + 1
  end
end

shortenLists(2 * (#ARGV - 8) + 100)
noteRecords()
return { wakeAll(), count }
