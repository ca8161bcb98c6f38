#!lua flags=no-writes
-- Events that were emitted here and are still to be relayed, the longest waiting first.
--
-- KEYS     below
-- ARGV     1 how many to pass over, 2 how many, 3 most bytes; the first one is given whatever it weighs
-- RETURNS  for each: id, what there is to know of it as include/relay.lua keeps it, envelope
--@keys meta results relays relaying
--@include gate
local BYTES_MAX = tonumber(ARGV[3])
local answers, bytes = {}, 0
for _, child in ipairs(redis.call('ZRANGE', RELAYING, ARGV[1], ARGV[1] + ARGV[2] - 1)) do
  local envelope = redis.call('HGET', RESULTS, child)
  bytes = bytes + (envelope and #envelope or 0)
  if bytes > BYTES_MAX and #answers > 0 then
    break
  end
  answers[#answers + 1] = child
  answers[#answers + 1] = redis.call('HGET', RELAYS, child)
  answers[#answers + 1] = envelope
end
return answers
