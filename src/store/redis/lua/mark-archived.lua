#!lua flags=allow-oom
-- Everything up to a position is in a segment: notes it and trims the outbox. Never goes back.
--
-- KEYS     below
-- ARGV     1–7 head, 8 view, 9 n, 10 slot, 11 the view that the caller speaks of, or nothing
-- RETURNS  whom it wakes
--@keys meta outbox results forgotten
--@include gate
--@include head
--@include wake
--@include expected-view
local otherView = expectView(ARGV[11])
if otherView then
  return otherView
end
local archivedView, archivedN = tonumber(ARGV[8]), tonumber(ARGV[9])
local function isArchived(someView, someN)
  return someView < archivedView or (someView == archivedView and someN <= archivedN)
end

local noted = redis.call('HMGET', META, 'archivedView', 'archivedN')
if noted[1] and not isArchived(tonumber(noted[1]), tonumber(noted[2])) then
  return { '' }
end
redis.call('HSET', META, 'archivedView', ARGV[8], 'archivedN', ARGV[9], 'archivedSlot', ARGV[10])
redis.call('XTRIM', OUTBOX, 'MINID', ARGV[8] .. '-' .. string.format('%.0f', archivedN + 1))

-- Bodies of attempts that were forgotten and that the outbox has no use for any more.
local oldest = redis.call('LINDEX', FORGOTTEN, 0)
while oldest do
  local entry = cjson.decode(oldest)
  if not isArchived(entry[1], entry[2]) then
    break
  end
  redis.call('HDEL', RESULTS, entry[3], entry[3] .. '.late')
  redis.call('LPOP', FORGOTTEN)
  oldest = redis.call('LINDEX', FORGOTTEN, 0)
end
wakeArchived()
return { wakeAll() }
