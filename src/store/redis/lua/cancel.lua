#!lua flags=allow-oom
-- Cancel: an event that nobody works on ends at once; a listener that holds it is asked. Its entry in a ready queue
-- stays behind, for a lease to pass over: so no queue need be known.
--
-- KEYS     below
-- ARGV     1–7 head, 8 id
-- RETURNS  whom it wakes, then {0} cancelled, {1} requested, {2} complete, each with view and n behind it of what must be
--          archived before the answer is given; {3} unknown
--@keys meta policies events results leasedUntil delayed held settled outbox open deadlines
--@include gate
--@include head
--@include record
--@include wake
--@include state
--@include attempt
local id = ARGV[8]
local state = loadState(id)
if not state then
  return { '', { 3 } }
end
if state[STATUS] == COMPLETE then
  -- A cancel whose answer was lost is asked again.
  local answer = promise({ state[REASON] == BY_CANCEL and 0 or 2 }, state)
  return { wakeAll(), answer }
end
if deadlineHasPassed(state) then
  endByDeadline(id, state)
  saveState(id, state)
  noteRecords()
  local answer = promise({ 2 }, state)
  return { wakeAll(), answer }
end
local overdue, held = {}, 0
for index, delivery in ipairs(state[DELIVERIES]) do
  if delivery[STATE] == LEASED and leaseExpired(delivery) then
    overdue[#overdue + 1] = index
  elseif delivery[STATE] == LEASED then
    held = held + 1
  end
end
if held > 0 then
  if state[CANCEL_REQUESTED] == 0 then
    record('Q', now, id, state[TYPE])
    applyCancelRequested(id, state)
    saveState(id, state)
    noteRecords()
  end
  local answer = promise({ 1 }, state)
  return { wakeAll(), answer }
end
for _, index in ipairs(overdue) do
  expireLease(id, state, index - 1, state[DELIVERIES][index], nil, true)
end
if state[STATUS] ~= COMPLETE then
  cancelEvent(id, state)
end
if state[UNARCHIVED] then
  redis.call('ZREM', HELD, memberOf(id, state, 0))
end
saveState(id, state)
noteRecords()
local answer = promise({ state[REASON] == BY_CANCEL and 0 or 2 }, state)
return { wakeAll(), answer }
