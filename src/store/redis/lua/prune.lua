#!lua flags=allow-oom
-- Prune: events that ended long ago go, with their bodies, unless something has happened to them since they were looked
-- at. Their idempotency keys stay for as long as they would have. Behind them the lists of ids are made shorter.
--
-- KEYS     below
-- ARGV     1–7 head, 8 by what slot the part of the index is named that has them; then for each event: id, version
-- RETURNS  whom it wakes, then how many went
--@keys meta events envelopes results ids oldIds settled outbox
--@include gate
--@include head
--@include record
--@include wake
--@include state
--@include archived
local INDEX = tonumber(ARGV[8])
local FIELDS = 2
-- Ids whose events are gone are let lie until they are so many and half of all.
local SLACK_MAX = 1024

local function forget(id, state)
  record('P', now, id, state[TYPE], INDEX)
  redis.call('HDEL', EVENTS, id)
  redis.call('HDEL', ENVELOPES, id)
  redis.call('ZREM', OLD_IDS, id)
  for listener, delivery in ipairs(state[DELIVERIES]) do
    for place = ATTEMPTS, #delivery do
      local attempt = delivery[place]
      if attempt[FINGERPRINT] or attempt[LATE_AT] ~= 0 then
        local field = id .. '.' .. (listener - 1) .. '.' .. attempt[GRANT]
        redis.call('HDEL', RESULTS, field, field .. '.late')
      end
    end
  end
end

local count = 0
for first = 9, #ARGV, FIELDS do
  local id = ARGV[first]
  local state = loadState(id)
  if state and state[STATUS] == COMPLETE and state[VERSION] == tonumber(ARGV[first + 1]) and isArchived(state) then
    forget(id, state)
    count = count + 1
  end
end

local steps = 2 * (#ARGV - 8) + 100
for _ = 1, steps do
  local id = redis.call('LINDEX', SETTLED, 0)
  if not id or redis.call('HEXISTS', EVENTS, id) == 1 then
    break
  end
  redis.call('LPOP', SETTLED)
end
-- The oldest ids go as long as their events are gone. One that has outlived the others makes way for them.
for _ = 1, steps do
  local id = redis.call('LINDEX', IDS, 0)
  local packed = id and redis.call('HGET', EVENTS, id)
  if not id then
    break
  elseif not packed then
    redis.call('LPOP', IDS)
  elseif redis.call('LLEN', IDS) + redis.call('ZCARD', OLD_IDS) > 2 * redis.call('HLEN', EVENTS) + SLACK_MAX then
    redis.call('LPOP', IDS)
    redis.call('ZADD', OLD_IDS, unpackState(packed)[SEQUENCE], id)
  else
    break
  end
end

if count > 0 then
  redis.call('HSET', META, 'indexed', math.max(INDEX, tonumber(redis.call('HGET', META, 'indexed') or 0)))
end
noteRecords()
return { wakeAll(), count }
