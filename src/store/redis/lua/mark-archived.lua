#!lua flags=allow-oom
-- Everything up to a position is in a segment: notes it and trims the outbox. Never goes back.
--
-- KEYS     below
-- ARGV     1–7 head, 8 view, 9 n, 10 slot, 11 the view that the caller speaks of, or nothing
-- RETURNS  whom it wakes, then 1 when it is news and deliveries wait for their events to be archived, else 0
--@keys meta held outbox results forgotten
--@include gate
--@include head
--@include wake
--@include expected-view
--@include note-archived
local otherView = expectView(ARGV[11])
if otherView then
  return otherView
end
local held = 0
if noteArchived(tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10]) then
  wakeArchived()
  held = redis.call('EXISTS', HELD)
end
return { wakeAll(), held }
