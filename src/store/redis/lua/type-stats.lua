#!lua flags=allow-oom
-- How the deliveries of a type's listeners stand. Entries at the heads of queues whose deliveries do not wait any more are
-- dropped on the way to the oldest that does.
--
-- KEYS     the constant ones below, then for each listener `fresh` and `again`
-- ARGV     1 the version of the listeners that the caller knows, 2 ordinal of the type, then ordinals of the listeners
-- RETURNS  {'stale'}: the listeners are not those that the caller knows; {'again'}: only dead entries so far, ask again; or
--          {'stats', now, whether it is paused (1 or 0), how many events are not complete, then for each listener how many
--          are ready, delayed and leased, when the oldest that is ready was accepted and when the listener last asked, or 0}
--@keys meta events envelopes policies open
--@include gate
--@include state
--@include short-id
local ORDINAL = ARGV[2]
local DEAD_ENTRIES_MAX = 1000
if listenersVersion ~= tonumber(ARGV[1]) then
  return { 'stale' }
end
local dead = 0

-- The first event of a queue that waits; nothing when there is none.
local function oldestIn(queue, isFresh, listener)
  while dead < DEAD_ENTRIES_MAX do
    local id
    if isFresh then
      local short = redis.call('LINDEX', queue, 0)
      id = short and longId(short)
    else
      id = redis.call('ZRANGE', queue, 0, 0)[1]
    end
    local state = id and loadState(id)
    local delivery = state and deliveryOf(state, listener)
    if not id or (delivery and delivery[STATE] == WAITING) then
      return state
    end
    if isFresh then
      redis.call('LPOP', queue)
    else
      redis.call('ZREM', queue, id)
    end
    redis.call('HINCRBY', OPEN, ORDINAL .. '.' .. listener .. 'X', -1)
    dead = dead + 1
  end
end

local rules = declared and redis.call('HGET', POLICIES, ORDINAL)
local paused = rules and cjson.decode(rules).paused and 1 or 0
local answer = { 'stats', now, paused, tonumber(redis.call('HGET', OPEN, ORDINAL) or 0) }
for index = 3, #ARGV do
  local fresh, again = KEYS[CONSTANT_KEYS + 2 * index - 5], KEYS[CONSTANT_KEYS + 2 * index - 4]
  local listener = tonumber(ARGV[index])
  local first, other = oldestIn(fresh, true, listener), oldestIn(again, false, listener)
  if other and (not first or other[SEQUENCE] < first[SEQUENCE]) then
    first = other
  end
  local field = ORDINAL .. '.' .. ARGV[index]
  local counted = redis.call('HMGET', OPEN, field .. 'X', field .. 'D', field .. 'L', field .. 'A')
  local size = #answer
  answer[size + 1] = redis.call('LLEN', fresh) + redis.call('ZCARD', again) - (counted[1] or 0)
  answer[size + 2] = tonumber(counted[2] or 0)
  answer[size + 3] = tonumber(counted[3] or 0)
  answer[size + 4] = first and first[CREATED_AT] or 0
  answer[size + 5] = tonumber(counted[4] or 0)
end
return dead < DEAD_ENTRIES_MAX and answer or { 'again' }
