-- recovering(epoch): whether the recovery of that epoch is under way. It belongs to the run of the server in which it
-- began: another run may lack what was done before.
--
-- Needs META and run.
local function recovering(epoch)
  local meta = redis.call('HMGET', META, 'recovering', 'recoveringRun', 'open')
  return meta[1] == epoch and meta[2] == RUN and not meta[3]
end
