#!lua flags=allow-oom
-- Ends the deliveries that a deleted listener has of the events, as far as they have not ended.
--
-- KEYS     below
-- ARGV     1–7 head, 8 ordinal of the type, 9 of the listener, then ids
-- RETURNS  whom it wakes, then how many deliveries ended
--@keys meta policies events envelopes results subscribers leasedUntil delayed held keyed settled settledOwn outbox open deadlines trees
--@include gate
--@include head
--@include record
--@include wake
--@include state
--@include apply
--@include listeners
local TYPE_ORDINAL, LISTENER = tonumber(ARGV[8]), tonumber(ARGV[9])
local listeners = loadListeners(TYPE_ORDINAL)

-- The first by ordinal of the other listeners that are still there, or false.
local function nextResponder(state)
  local next = false
  for place = 2, #state[DELIVERIES] do
    local ordinal = listenerAt(state, place)
    local listener = listeners[ordinal + 1]
    if (not listener or listener[4] == 0) and (not next or ordinal < next) then
      next = ordinal
    end
  end
  return next
end

local ended = 0
for index = 10, #ARGV do
  local id = ARGV[index]
  local state = loadState(id)
  local delivery = state and state[TYPE] == TYPE_ORDINAL and deliveryOf(state, LISTENER)
  if delivery and delivery[STATE] ~= ENDED then
    local grant = delivery[STATE] == LEASED and delivery[GRANTS] or 0
    local takes = state[STATUS] ~= COMPLETE and listenerAt(state, 1) == LISTENER
    local responder
    if takes then
      responder = state[RECEIVERS] and nextResponder(state) or false
      record('N', now, id, TYPE_ORDINAL, LISTENER, grant, responder)
    else
      record('N', now, id, TYPE_ORDINAL, LISTENER, grant)
    end
    if state[UNARCHIVED] then
      removeHeld(id, state, LISTENER)
    end
    applyUnsubscribed(id, state, LISTENER, grant, responder)
    saveState(id, state)
    ended = ended + 1
  end
end
noteRecords()
return { wakeAll(), ended }
