#!lua flags=no-writes
-- A run of events, newest first as they were accepted. The filter is the caller's: here every instruction counts.
--
-- KEYS     below
-- ARGV     1 the sequence that the run ends before, or nothing for the newest, 2 how many
-- RETURNS  id and state for each
--@keys meta events ids
--@include gate
local skipped = math.max(0, sequence + 1 - (tonumber(ARGV[1]) or (sequence + 1)))
local ids = redis.call('LRANGE', IDS, -(skipped + tonumber(ARGV[2])), -(skipped + 1))
if #ids == 0 then
  return {}
end
local states = redis.call('HMGET', EVENTS, unpack(ids))
local answers = {}
for index = #ids, 1, -1 do
  answers[#answers + 1] = ids[index]
  answers[#answers + 1] = states[index]
end
return answers
