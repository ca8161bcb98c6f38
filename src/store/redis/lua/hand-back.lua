#!lua flags=allow-oom
-- Hand back: a lease is given up and the attempt is not counted.
--
-- KEYS     the constant ones below, then the queue `again`
-- ARGV     1–7 head, 8 id, 9 ordinal, 10 listener, 11 grant, 12 token
-- RETURNS  whom it wakes, then 0 handed back, 1 lease lost, 2 unknown
--@keys meta policies events envelopes results leasedUntil delayed held keyed settled settledOwn outbox open deadlines trees
--@include gate
--@include head
--@include record
--@include wake
--@include state
--@include attempt
local id, listener, token = ARGV[8], tonumber(ARGV[10]), ARGV[12]
local state, delivery, attempt = findAttempt(id, tonumber(ARGV[9]), listener, tonumber(ARGV[11]))
if not state then
  return { '', 2 }
end
if not attempt then
  return { '', 1 }
end
if attempt[END] == HANDED_BACK and attempt[TOKEN] == token then
  return { '', 0 }
end
if not holdsLease(state, delivery, attempt, token) then
  return { '', 1 }
end
handBack(id, state, listener, delivery, attempt, KEYS[CONSTANT_KEYS + 1])
noteRecords()
return { wakeAll(), 0 }
