#!lua flags=allow-oom
-- Expire: leases whose time is up end, whether or not their holders know. What expire-peek.lua found is looked at again.
--
-- KEYS     the constant ones below, then the queues `again` of the items
-- ARGV     1–7 head; then for each item: id, listener, which of the queues
-- RETURNS  whom it wakes, then how many leases ended
--@keys meta policies events envelopes results leasedUntil delayed held keyed settled settledOwn outbox open deadlines trees
--@include gate
--@include head
--@include record
--@include wake
--@include state
--@include attempt
local FIELDS = 3
local count = 0
for first = FIRST, #ARGV, FIELDS do
  local id, listener = ARGV[first], tonumber(ARGV[first + 1])
  local state = loadState(id)
  local delivery = state and deliveryOf(state, listener)
  if delivery and delivery[STATE] == LEASED and leaseExpired(delivery) then
    expireLease(id, state, listener, delivery, KEYS[CONSTANT_KEYS + tonumber(ARGV[first + 2])])
    saveState(id, state)
    count = count + 1
  end
end
noteRecords()
return { wakeAll(), count }
