#!lua flags=no-writes
-- Which leases have expired, so that their queues can be named to expire.lua: those whose time is up, and those that
-- end later than any lease may, which were granted before the clock stepped back.
--
-- Events whose deadline has passed come first: then leases are not looked at, since they end with them.
--
-- KEYS     below
-- ARGV     1 longest lease in ms, 2 most to return
-- RETURNS  how many events follow whose deadline has passed; those, the longest overdue first, or deliveries as
--          id.ordinal.listener, the longest expired first
--@keys meta leasedUntil deadlines
--@include gate
local LIMIT = tonumber(ARGV[2])
if deadlines then
  local overdue = redis.call('ZRANGE', DEADLINES, '-inf', now, 'BYSCORE', 'LIMIT', 0, LIMIT)
  if #overdue > 0 then
    return { #overdue, unpack(overdue) }
  end
end
local found = {}
local function find(from, to)
  local entries = redis.call('ZRANGE', LEASED_UNTIL, from, to, 'BYSCORE', 'LIMIT', 0, LIMIT, 'WITHSCORES')
  for index = 1, #entries, 2 do
    found[#found + 1] = { member = entries[index], at = math.min(tonumber(entries[index + 1]), now) }
  end
end
find('-inf', now)
find('(' .. (now + tonumber(ARGV[1])), '+inf')
table.sort(found, function(a, b)
  return a.at < b.at or (a.at == b.at and a.member < b.member)
end)
local members = { 0 }
for index = 1, math.min(#found, LIMIT) do
  members[index + 1] = found[index].member
end
return members
