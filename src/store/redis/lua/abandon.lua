#!lua flags=allow-oom
-- Abandon: the answer to a lease call could not be delivered, so its leases go back at once, unless a repeat of the
-- call has been given them meanwhile.
--
-- KEYS     the constant ones below, the call, then the queues `again` of the items
-- ARGV     1–7 head, 8 the claim; then for each item: id, ordinal, listener, grant, which of the queues, token
-- RETURNS  whom it wakes, then how many were handed back
--@keys meta policies events envelopes results leasedUntil delayed held keyed settled settledOwn outbox open deadlines trees
--@include gate
--@include head
--@include record
--@include wake
--@include state
--@include attempt
local FIELDS = 6
local known = redis.call('GET', KEYS[CONSTANT_KEYS + 1])
known = known and cmsgpack.unpack(known)
if not known or known[2] <= now or known[1] ~= tonumber(ARGV[8]) then
  return { '', 0 }
end
local count = 0
for first = 9, #ARGV, FIELDS do
  local id, listener, token = ARGV[first], tonumber(ARGV[first + 2]), ARGV[first + 5]
  local grant = tonumber(ARGV[first + 3])
  local state, delivery, attempt = findAttempt(id, tonumber(ARGV[first + 1]), listener, grant)
  if attempt and holdsLease(state, delivery, attempt, token) then
    handBack(id, state, listener, delivery, attempt, KEYS[CONSTANT_KEYS + 1 + tonumber(ARGV[first + 4])])
    count = count + 1
  end
end
noteRecords()
return { wakeAll(), count }
