-- policyOf(ordinal): what holds for a type. What is declared stands in POLICIES, see type-set.lua; the rest is service-wide.
-- While nothing ever was declared nothing is looked up.
--
-- Needs gate, head and POLICIES.
local SERVICE_WIDE = {
  attemptsMax = ATTEMPTS_MAX,
  backoffFirstMs = BACKOFF_FIRST_MS,
  backoffFactor = BACKOFF_FACTOR,
  backoffMsMax = BACKOFF_MS_MAX,
  backoffJitter = BACKOFF_JITTER,
}
local policies = {}

local function policyOf(ordinal)
  if not declared then
    return SERVICE_WIDE
  end
  if not policies[ordinal] then
    local rules = redis.call('HGET', POLICIES, ordinal)
    policies[ordinal] = rules and setmetatable(cjson.decode(rules), { __index = SERVICE_WIDE }) or SERVICE_WIDE
  end
  return policies[ordinal]
end
