#!lua flags=allow-oom
-- Promote: deliveries whose delay or backoff is over go to their queues, each to its place in the order.
--
-- KEYS     the constant ones below, then the queues `again` of the items
-- ARGV     1–7 head; then for each item: id, ordinal, listener, which of the queues
-- RETURNS  whom it wakes, then how many were moved
--@keys meta events delayed
--@include gate
--@include head
--@include wake
--@include state
local FIELDS = 4
local count = 0
for first = FIRST, #ARGV, FIELDS do
  local id, ordinal, listener = ARGV[first], tonumber(ARGV[first + 1]), tonumber(ARGV[first + 2])
  local member = id .. '.' .. ordinal .. '.' .. listener
  local dueAt = redis.call('ZSCORE', DELAYED, member)
  if dueAt and tonumber(dueAt) <= now then
    local state = loadState(id)
    redis.call('ZREM', DELAYED, member)
    if state and state[DELIVERIES][listener + 1][STATE] == WAITING then
      redis.call('ZADD', KEYS[CONSTANT_KEYS + tonumber(ARGV[first + 3])], state[SEQUENCE], id)
      wakeQueue(ordinal, listener)
      count = count + 1
    end
  end
end
return { wakeAll(), count }
