#!lua flags=no-writes
-- A run of events, newest first as they were accepted. The filter is the caller's: here every instruction counts. Ids of
-- events that are gone may lie between the others, so a run may be shorter than asked for and not be the end.
--
-- KEYS     below
-- ARGV     1 the sequence that the run ends before, or nothing for the newest, 2 how many
-- RETURNS  the sequence that the next run ends before, 1 when there is none; view and n of what is archived, or nothing each;
--          then id and state for each
--@keys meta events envelopes ids oldIds
--@include gate
--@include beginning
--@include short-id
local before = tonumber(ARGV[1]) or (sequence + 1)
local wanted = tonumber(ARGV[2])
-- The list has the ids of the newest sequences, one each; those before are in the sorted set, with gaps.
local oldest = sequence + 1 - redis.call('LLEN', IDS)
local ids, reached = {}, 1
if before > oldest then
  local skipped = math.max(0, sequence + 1 - before)
  local run = redis.call('LRANGE', IDS, -(skipped + wanted), -(skipped + 1))
  for index = #run, 1, -1 do
    ids[#ids + 1] = longId(run[index])
  end
  reached = math.max(oldest, before - wanted)
  if reached == oldest and redis.call('ZCARD', OLD_IDS) == 0 then
    reached = 1
  end
else
  local run = redis.call('ZRANGE', OLD_IDS, '(' .. before, '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, wanted, 'WITHSCORES')
  for index = 1, #run, 2 do
    ids[#ids + 1] = run[index]
  end
  reached = #ids == wanted and tonumber(run[#run]) or 1
end
local archived = redis.call('HMGET', META, 'archivedView', 'archivedN')
local answers = { reached, archived[1], archived[2] }
if #ids > 0 then
  local states = packedStates(ids)
  for index, id in ipairs(ids) do
    if states[index] then
      answers[#answers + 1] = id
      answers[#answers + 1] = states[index]
    end
  end
end
return answers
