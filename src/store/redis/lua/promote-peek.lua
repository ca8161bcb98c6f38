#!lua flags=no-writes
-- Which deliveries' wait is over, so that their queues can be named to promote.lua: for their events to be archived, for a
-- delay or for a backoff.
--
-- KEYS     below
-- ARGV     1 most to return, 2 whether those only whose events have been archived (1 or 0)
-- RETURNS  the time, then deliveries as id.ordinal.listener: those archived, the oldest first, then the longest due first
--@keys meta events envelopes delayed held
--@include gate
--@include state
--@include is-unarchived
local LIMIT = tonumber(ARGV[1])
local found = {}
local held = LIMIT > 0 and redis.call('ZRANGE', HELD, 0, LIMIT - 1) or {}
for _, member in ipairs(held) do
  local state = loadState(string.match(member, '^[^.]+'))
  if state and isUnarchived(state[VIEW], state[N]) then
    break
  end
  found[#found + 1] = member
end
if ARGV[2] == '0' and #found < LIMIT then
  for _, member in ipairs(redis.call('ZRANGE', DELAYED, '-inf', now, 'BYSCORE', 'LIMIT', 0, LIMIT - #found)) do
    found[#found + 1] = member
  end
end
return { now, unpack(found) }
