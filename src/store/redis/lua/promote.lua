#!lua flags=allow-oom
-- Promote: deliveries whose wait is over go to their queues, each to its place in the order; one that has been archived
-- and is not due yet goes to those that are delayed. What promote-peek.lua found is looked at again.
--
-- KEYS     the constant ones below, then the queues `again` of the items
-- ARGV     1–7 head; then for each item: id, ordinal, listener, which of the queues
-- RETURNS  whom it wakes, then how many went to their queues
--@keys meta events envelopes delayed held open
--@include gate
--@include head
--@include wake
--@include state
--@include is-unarchived
local FIELDS = 4
local count = 0

local function makeReady(id, ordinal, listener, state, queue)
  redis.call('ZADD', queue, state[SEQUENCE], id)
  wakeQueue(ordinal, listener)
  count = count + 1
end

local function release(member, id, ordinal, listener, queue)
  local state = loadState(id)
  if state and isUnarchived(state[VIEW], state[N]) then
    return
  end
  redis.call('ZREM', HELD, member)
  local delivery = state and deliveryOf(state, listener)
  local counted = ordinal .. '.' .. listener
  if not delivery or delivery[STATE] ~= WAITING then
    tally(counted .. 'D', -1)
    tally(counted .. 'X', -1)
    return
  end
  if delivery[EXPIRES_AT] > now then
    redis.call('ZADD', DELAYED, delivery[EXPIRES_AT], member)
  else
    tally(counted .. 'D', -1)
    makeReady(id, ordinal, listener, state, queue)
  end
end

for first = FIRST, #ARGV, FIELDS do
  local id, ordinal, listener = ARGV[first], tonumber(ARGV[first + 1]), tonumber(ARGV[first + 2])
  local member = id .. '.' .. ordinal .. '.' .. listener
  local queue = KEYS[CONSTANT_KEYS + tonumber(ARGV[first + 3])]
  local dueAt = redis.call('ZSCORE', DELAYED, member)
  if dueAt and tonumber(dueAt) <= now then
    local state = loadState(id)
    redis.call('ZREM', DELAYED, member)
    tally(ordinal .. '.' .. listener .. 'D', -1)
    local delivery = state and deliveryOf(state, listener)
    if delivery and delivery[STATE] == WAITING then
      makeReady(id, ordinal, listener, state, queue)
    end
  elseif not dueAt and redis.call('ZSCORE', HELD, member) then
    release(member, id, ordinal, listener, queue)
  end
end
return { wakeAll(), count }
