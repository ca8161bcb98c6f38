#!lua flags=allow-oom
-- Cancel: an event that nobody works on ends at once; a listener that holds it is asked. Its entry in a ready queue
-- stays behind, for a lease to pass over: so no queue need be known.
--
-- KEYS     below
-- ARGV     1–7 head, 8 id
-- RETURNS  whom it wakes, then {0} cancelled, {1} requested, {2} complete, each with view and n behind it of what must be
--          archived before the answer is given; {3} unknown
--@keys meta policies events envelopes results leasedUntil delayed held keyed settled settledOwn outbox open deadlines trees
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
local overdue, held = {}, {}
for place, delivery in ipairs(state[DELIVERIES]) do
  if delivery[STATE] == LEASED and leaseExpired(delivery) then
    overdue[place] = delivery
  elseif delivery[STATE] == LEASED then
    held[#held + 1] = place
  end
end

local function answerWith(code)
  saveState(id, state)
  noteRecords()
  local answer = promise({ code }, state)
  return { wakeAll(), answer }
end

local function unhold()
  for place = 1, state[UNARCHIVED] and #state[DELIVERIES] or 0 do
    removeHeld(id, state, listenerAt(state, place))
  end
end

if #held > 0 and state[CANCEL_REQUESTED] == 0 then
  record('Q', now, id, state[TYPE])
  applyCancelRequested(id, state)
  unhold()
end
-- Its end would be the event's: that is for who holds it. Others hear of it, and the event does not wait for them.
if held[1] == 1 then
  return answerWith(1)
end
if overdue[1] then
  expireLease(id, state, listenerAt(state, 1), overdue[1])
end
if state[STATUS] == COMPLETE and state[REASON] ~= BY_CANCEL then
  -- It is complete as it would have been anyway, and the others go on.
  return answerWith(2)
end
for place = 2, #state[DELIVERIES] do
  if overdue[place] then
    expireLease(id, state, listenerAt(state, place), overdue[place])
  end
end
if state[STATUS] ~= COMPLETE then
  cancelEvent(id, state)
end
unhold()
return answerWith(0)
