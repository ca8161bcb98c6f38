#!lua flags=no-writes
-- How events stand.
--
-- KEYS     below
-- ARGV     ids
-- RETURNS  for each id: its state, or nothing; the result that it ended with, or nothing
--@keys meta events results
--@include gate
local answers = {}
for index, packed in ipairs(redis.call('HMGET', EVENTS, unpack(ARGV))) do
  answers[2 * index - 1] = packed
  -- The state begins with the grant whose result is the event's.
  local grant = packed and string.match(packed, '^%[(%d+)')
  answers[2 * index] = grant and grant ~= '0' and redis.call('HGET', RESULTS, ARGV[index] .. '.0.' .. grant)
end
return answers
