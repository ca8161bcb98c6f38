-- isUnarchived(view, n): whether the record there is not in a segment yet. What is archived is looked up at the first call.
--
-- Needs META.
local notedView, notedN

local function isUnarchived(someView, someN)
  if not notedView then
    local noted = redis.call('HMGET', META, 'archivedView', 'archivedN')
    notedView, notedN = tonumber(noted[1] or -1), tonumber(noted[2] or -1)
  end
  return someView > notedView or (someView == notedView and someN > notedN)
end
