#!lua flags=allow-oom
-- Extend: the holder of a lease moves its end to now + duration. No record: an end may be forgotten.
--
-- KEYS     below
-- ARGV     1–7 head; then for each item: id, ordinal, listener, grant, token, ms
-- RETURNS  for each item: {0, expiresAt, cancelRequested} extended, {1} lease lost, {2} unknown
--@keys meta policies events envelopes results leasedUntil delayed settled settledOwn outbox trees
--@include gate
--@include head
--@include record
--@include wake
--@include state
--@include attempt
local FIELDS = 6

local function extend(id, ordinal, listener, grant, token, leaseMs)
  local state, delivery, attempt = findAttempt(id, ordinal, listener, grant)
  if not state then
    return { 2 }
  end
  if not attempt or not holdsLease(state, delivery, attempt, token) then
    return { 1 }
  end
  delivery[EXPIRES_AT] = now + leaseMs
  saveState(id, state)
  redis.call('ZADD', LEASED_UNTIL, delivery[EXPIRES_AT], memberOf(id, state, listener))
  local cancelRequested = state[CANCEL_REQUESTED]
  local note = state[UNARCHIVED] and string.match(state[UNARCHIVED], '%d+-%d+Q')
  if note and isUnarchived(positionIn(note)) then
    cancelRequested = 0
  end
  return { 0, delivery[EXPIRES_AT], cancelRequested }
end

local answers = {}
for first = FIRST, #ARGV, FIELDS do
  answers[#answers + 1] = extend(
    ARGV[first],
    tonumber(ARGV[first + 1]),
    tonumber(ARGV[first + 2]),
    tonumber(ARGV[first + 3]),
    ARGV[first + 4],
    tonumber(ARGV[first + 5])
  )
end
return answers
