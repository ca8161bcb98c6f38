-- What it means that an event was pruned, and how the lists of ids are made shorter behind it.
--
-- Needs declared, settled, state, redriven, META, EVENTS, ENVELOPES, RESULTS, IDS, OLD_IDS, SETTLED and SETTLED_OWN.

--@include short-id

-- Ids whose events are gone are let lie until they are so many and half of all.
local SLACK_MAX = 1024

local function noteIndexed(index)
  if index > tonumber(redis.call('HGET', META, 'indexed') or 0) then
    redis.call('HSET', META, 'indexed', index)
  end
end

-- Its idempotency key stays for as long as it would have.
local function applyPruned(id, state, index)
  local root = rootOf(state)
  if root then
    moveInTree(root, state[OUTCOME] == SUCCESS and AS_SUCCESS or AS_FAIL, nil, false)
  end
  redis.call('HDEL', EVENTS, id)
  redis.call('HDEL', ENVELOPES, id)
  redis.call('ZREM', OLD_IDS, id)
  if declared then
    local at, someView, someN = state[SETTLED_AT], state[SETTLED_VIEW], state[SETTLED_N]
    if not at then
      at, someView, someN = state[COMPLETED_AT], state[ENDED_VIEW], state[ENDED_N]
    end
    redis.call('ZREM', SETTLED_OWN, settledMember(id, state[TYPE], at, someView, someN))
  end
  for place, delivery in ipairs(state[DELIVERIES]) do
    for at = ATTEMPTS, #delivery do
      local attempt = delivery[at]
      if attempt[FINGERPRINT] or attempt[LATE_AT] ~= 0 then
        local field = id .. '.' .. listenerAt(state, place) .. '.' .. attempt[GRANT]
        redis.call('HDEL', RESULTS, field, field .. '.late')
      end
    end
  end
  local past = state[REDRIVE_OF] and loadState(state[REDRIVE_OF])
  if past and forgetRedriven(past, id) then
    saveState(state[REDRIVE_OF], past)
  end
  noteIndexed(index)
end

-- In so many steps at most.
local function shortenLists(steps)
  for _ = 1, steps do
    local id = redis.call('LINDEX', SETTLED, 0)
    if not id or redis.call('HEXISTS', EVENTS, id) == 1 then
      break
    end
    redis.call('LPOP', SETTLED)
  end
  -- The oldest ids go as long as their events are gone. One that has outlived the others makes way for them.
  for _ = 1, steps do
    local short = redis.call('LINDEX', IDS, 0)
    local id = short and longId(short)
    local packed = id and packedState(id)
    if not id then
      break
    elseif not packed then
      redis.call('LPOP', IDS)
    elseif redis.call('LLEN', IDS) + redis.call('ZCARD', OLD_IDS) > 2 * redis.call('HLEN', ENVELOPES) + SLACK_MAX then
      redis.call('LPOP', IDS)
      redis.call('ZADD', OLD_IDS, unpackState(packed)[SEQUENCE], id)
    else
      break
    end
  end
end
