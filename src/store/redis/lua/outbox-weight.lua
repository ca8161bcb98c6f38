#!lua flags=no-writes
-- What waits to be archived weighs, about: as many records as there are, of the weight that the oldest and the newest have.
--
-- KEYS     below
-- ARGV     1 how many to weigh at each end
-- RETURNS  bytes
--@keys meta outbox envelopes results
--@include gate
--@include body-of
-- What a record weighs in a stream beside its text.
local OVERHEAD_BYTES = 100
local COUNT = redis.call('XLEN', OUTBOX)
local weighed, bytes = 0, 0

local function weigh(entries)
  for _, entry in ipairs(entries) do
    local text = entry[2][2]
    local hash, field = bodyOf(text)
    weighed = weighed + 1
    bytes = bytes + OVERHEAD_BYTES + #text + (hash and redis.call('HSTRLEN', hash, field) or 0)
  end
end

weigh(redis.call('XRANGE', OUTBOX, '-', '+', 'COUNT', ARGV[1]))
weigh(redis.call('XREVRANGE', OUTBOX, '+', '-', 'COUNT', ARGV[1]))
return weighed == 0 and 0 or math.floor(COUNT * bytes / weighed)
