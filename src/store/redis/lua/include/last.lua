-- lastRecord(): view and n of the last record that the state has, or false twice. It is the last that was made here, or
-- the last that was replayed.
--
-- Needs META.
local function lastRecord()
  local meta = redis.call('HMGET', META, 'view', 'n', 'lastView', 'lastN')
  local view, n = tonumber(meta[1] or nil), tonumber(meta[2] or nil)
  local lastView, lastN = tonumber(meta[3] or nil), tonumber(meta[4] or nil)
  if n and n > 0 and (not lastView or view > lastView or (view == lastView and n > lastN)) then
    return view, n
  end
  return lastView or false, lastN or false
end
