#!lua flags=no-writes
-- What waits to be archived weighs, about: as many entries as there are, of the weight that the oldest and the newest have.
--
-- KEYS     below
-- ARGV     1 how many to weigh at each end
-- RETURNS  bytes
--@keys meta outbox envelopes results
--@include gate
--@include body
-- What a record weighs in a stream beside its text.
local OVERHEAD_BYTES = 100
local COUNT = redis.call('XLEN', OUTBOX)
local weighed, bytes = 0, 0

local function weigh(entries)
  for _, entry in ipairs(entries) do
    weighed = weighed + 1
    local fields = entry[2]
    for place = 1, #fields, 2 do
      local hash, field = bodyKey(fields[place])
      local bodyBytes = hash and redis.call('HSTRLEN', hash, field) or 0
      bytes = bytes + OVERHEAD_BYTES + #fields[place] + #fields[place + 1] + bodyBytes
    end
  end
end

weigh(redis.call('XRANGE', OUTBOX, '-', '+', 'COUNT', ARGV[1]))
weigh(redis.call('XREVRANGE', OUTBOX, '+', '-', 'COUNT', ARGV[1]))
return weighed == 0 and 0 or math.floor(COUNT * bytes / weighed)
