#!lua flags=no-writes
-- Jobs that send past events again.
--
-- KEYS     below
-- ARGV     1 which: all, or running
-- RETURNS  for each: id, and what include/redrive.lua keeps of it
--@keys meta redrives
--@include gate
if ARGV[1] == 'running' and tonumber(redis.call('HGET', META, 'redriving') or 0) == 0 then
  return {}
end
local answers = {}
local all = redis.call('HGETALL', REDRIVES)
for place = 1, #all, 2 do
  if ARGV[1] == 'all' or cjson.decode(all[place + 1])[3] == 'running' then
    answers[#answers + 1] = all[place]
    answers[#answers + 1] = all[place + 1]
  end
end
return answers
