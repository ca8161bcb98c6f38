-- What it means that a type came to be, or that something was declared of it. POLICIES has, by ordinal, what scripts look up
-- and, under `ordinal.text`, what was declared as it came; nothing of a type that exists by use only and is not paused.
--
-- Needs META, TYPES, TYPE_NAMES and POLICIES.

-- `text` is false where nothing is declared. The last three are left out of a type that is version 0 and not paused.
local function applyTypeSet(name, ordinal, version, text, paused)
  if redis.call('HSETNX', TYPES, name, ordinal) == 1 then
    redis.call('RPUSH', TYPE_NAMES, name)
    if not version then
      return
    end
  end
  local policy = text and cjson.decode(text) or {}
  local backoff = policy.backoff or {}
  local rules = {
    version = version or 0,
    paused = paused == 1,
    attemptsMax = policy.attemptsMax,
    leaseMs = policy.leaseMs,
    maxPending = policy.maxPending,
    deadlineMs = policy.deadlineMs,
    retentionMs = policy.retentionMs,
    backoffFirstMs = backoff.firstMs,
    backoffFactor = backoff.factor,
    backoffMsMax = backoff.capMs,
    backoffJitter = backoff.jitter,
  }
  redis.call('HSET', POLICIES, ordinal, cjson.encode(rules))
  if text then
    redis.call('HSET', POLICIES, ordinal .. '.text', text)
  else
    redis.call('HDEL', POLICIES, ordinal .. '.text')
  end
  redis.call('HSET', META, 'declared', 1)
end
