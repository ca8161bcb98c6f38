#!lua flags=no-writes
-- How much the partition holds. Every count is one that Redis keeps by itself.
--
-- KEYS     the constant ones below, then for each type `fresh` and `again`
-- ARGV     none
-- RETURNS  events, leased, delayed, records in the outbox, ready
--@keys meta envelopes leasedUntil delayed held outbox
--@include gate
local ready = 0
for index = CONSTANT_KEYS + 1, #KEYS, 2 do
  ready = ready + redis.call('LLEN', KEYS[index]) + redis.call('ZCARD', KEYS[index + 1])
end
return {
  redis.call('HLEN', ENVELOPES),
  redis.call('ZCARD', LEASED_UNTIL),
  redis.call('ZCARD', DELAYED) + redis.call('ZCARD', HELD),
  redis.call('XLEN', OUTBOX),
  ready,
}
