-- noteArchived(view, n, slot): everything up to there is in the log. Never goes back; says whether it went on.
--
-- Needs META, OUTBOX, RESULTS and FORGOTTEN.
local function noteArchived(archivedView, archivedN, slot)
  local function covers(someView, someN)
    return someView < archivedView or (someView == archivedView and someN <= archivedN)
  end

  local noted = redis.call('HMGET', META, 'archivedView', 'archivedN')
  local notedView, notedN = tonumber(noted[1] or nil), tonumber(noted[2] or nil)
  if notedView and (notedView > archivedView or (notedView == archivedView and notedN >= archivedN)) then
    return false
  end
  local position = string.format('%.0f-%.0f', archivedView, archivedN + 1)
  redis.call('HSET', META, 'archivedView', archivedView, 'archivedN', archivedN, 'archivedSlot', slot)
  redis.call('XTRIM', OUTBOX, 'MINID', position)

  -- Bodies of attempts that were forgotten and that the outbox has no use for any more.
  local oldest = redis.call('LINDEX', FORGOTTEN, 0)
  while oldest do
    local entry = cjson.decode(oldest)
    if not covers(entry[1], entry[2]) then
      break
    end
    redis.call('HDEL', RESULTS, entry[3], entry[3] .. '.late')
    redis.call('LPOP', FORGOTTEN)
    oldest = redis.call('LINDEX', FORGOTTEN, 0)
  end
  return true
end
