#!lua flags=no-writes
-- How much the partition holds. Every count is one that Redis keeps by itself, but that of records.
--
-- KEYS     the constant ones below, then for each type `fresh` and `again`
-- ARGV     none
-- RETURNS  events, leased, delayed, records in the outbox, ready
--@keys meta envelopes leasedUntil delayed held outbox
--@include gate
--@include outbox-entry

-- Of all that wait, whatever entries they stand in: positions of a view have no gaps.
local function outboxRecords()
  local noted = redis.call('HMGET', META, 'archivedView', 'archivedN')
  local archivedView, archivedN = tonumber(noted[1] or -1), tonumber(noted[2] or -1)
  local sum, from = 0, '-'
  repeat
    local entry = redis.call('XRANGE', OUTBOX, from, '+', 'COUNT', 1)[1]
    if not entry then
      return sum
    end
    local someView, before = recordsIn(entry)
    -- The view's last one.
    local last = redis.call('XREVRANGE', OUTBOX, string.format('%.0f', someView), '-', 'COUNT', 1)[1][1]
    sum = sum + tonumber(string.match(last, '%d+$')) - math.max(before, someView == archivedView and archivedN or 0)
    from = string.format('%.0f', someView + 1)
  until someView == view
  return sum
end

local ready = 0
for index = CONSTANT_KEYS + 1, #KEYS, 2 do
  ready = ready + redis.call('LLEN', KEYS[index]) + redis.call('ZCARD', KEYS[index + 1])
end
return {
  redis.call('HLEN', ENVELOPES),
  redis.call('ZCARD', LEASED_UNTIL),
  redis.call('ZCARD', DELAYED) + redis.call('ZCARD', HELD),
  outboxRecords(),
  ready,
}
