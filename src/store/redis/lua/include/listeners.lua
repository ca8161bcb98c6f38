-- The listeners of types, by ordinal: name, whether it is a responder (1 or 0), filter (its JSON as a string, or false), and
-- 0 living, 1 leaving, 2 gone.
--
-- Needs META and SUBSCRIBERS.
local function loadListeners(typeOrdinal)
  local packed = redis.call('HGET', SUBSCRIBERS, typeOrdinal)
  return packed and cjson.decode(packed) or {}
end

local function saveListeners(typeOrdinal, listeners)
  redis.call('HSET', SUBSCRIBERS, typeOrdinal, cjson.encode(listeners))
  redis.call('HINCRBY', META, 'listeners', 1)
end

-- Somebody has leased from the vacant ordinal.
local function markLeased(typeOrdinal)
  redis.call('HSET', SUBSCRIBERS, typeOrdinal .. '.leased', 1)
end

local function applyListenerSet(typeOrdinal, ordinal, name, responder, filter)
  local listeners = loadListeners(typeOrdinal)
  if ordinal == #listeners then
    redis.call('HDEL', SUBSCRIBERS, typeOrdinal .. '.leased')
  end
  listeners[ordinal + 1] = { name, responder, filter, 0 }
  saveListeners(typeOrdinal, listeners)
end

local function applyListenerGone(typeOrdinal, ordinal, swept)
  local listeners = loadListeners(typeOrdinal)
  listeners[ordinal + 1][4] = swept and 2 or 1
  redis.call('HINCRBY', META, 'leaving', swept and -1 or 1)
  saveListeners(typeOrdinal, listeners)
end
