-- openGate(logId, view): lets transitions and reads through, in this run of the server. The word says what was opened, so
-- that scripts which were loaded for something else find the gate closed.
--
-- Needs META and run.
local function openGate(logId, view)
  local word = redis.sha1hex(RUN .. ' ' .. view .. ' ' .. logId)
  redis.call('HSET', META, 'open', word, 'runId', RUN)
  return word
end
