-- isArchived(state): whether all records of a complete event are in a segment, and nothing that it emitted is to be relayed.
--
-- Needs META and state.
local archivedView, archivedN
do
  local noted = redis.call('HMGET', META, 'archivedView', 'archivedN')
  archivedView, archivedN = tonumber(noted[1] or -1), tonumber(noted[2] or -1)
end

local function isArchived(state)
  if state[TREE] and not string.find(state[TREE], ' 0$') then
    return false
  end
  local lastView, lastN = state[LAST_VIEW] or state[ENDED_VIEW], state[LAST_N] or state[ENDED_N]
  return lastView < archivedView or (lastView == archivedView and lastN <= archivedN)
end
