#!lua flags=no-writes
-- Which leases have expired, so that their queues can be named to expire.lua: those whose time is up, and those that
-- end later than any lease may, which were granted before the clock stepped back.
--
-- KEYS     below
-- ARGV     1 longest lease in ms, 2 most to return
-- RETURNS  deliveries as id.ordinal.listener, the longest expired first
--@keys meta leasedUntil
--@include gate
local LIMIT = tonumber(ARGV[2])
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
local members = {}
for index = 1, math.min(#found, LIMIT) do
  members[index] = found[index].member
end
return members
