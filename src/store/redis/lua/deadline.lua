#!lua flags=allow-oom
-- Deadline: events that are not complete in time end. What expire-peek.lua found is looked at again.
--
-- KEYS     below
-- ARGV     1–7 head; then ids
-- RETURNS  whom it wakes, then how many events ended
--@keys meta policies events envelopes results leasedUntil delayed held keyed settled settledOwn outbox open deadlines trees
--@include gate
--@include head
--@include record
--@include wake
--@include state
--@include attempt
local count = 0
for index = FIRST, #ARGV do
  local id = ARGV[index]
  local state = loadState(id)
  if state and deadlineHasPassed(state) then
    endByDeadline(id, state)
    saveState(id, state)
    count = count + 1
  end
end
noteRecords()
return { wakeAll(), count }
