-- Jobs that send past events again, by their ids: the type's ordinal, the step, the status, when it was made and when it
-- ended (or false), the position of the record that made it, what is wanted and how far it is (the JSON of each), and scope
-- and fingerprint of its idempotency key, or false each. META counts those under way.
--
-- Needs META and REDRIVES.
local function applyRedriveSet(id, job, forgets)
  local before = redis.call('HGET', REDRIVES, id)
  local wasRunning = before and cjson.decode(before)[3] == 'running'
  local isRunning = job[3] == 'running'
  if wasRunning ~= isRunning and (before or isRunning) then
    redis.call('HINCRBY', META, 'redriving', isRunning and 1 or -1)
  end
  if forgets then
    redis.call('HDEL', REDRIVES, forgets)
  end
  redis.call('HSET', REDRIVES, id, cjson.encode(job))
end
