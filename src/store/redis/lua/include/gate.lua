-- The first thing that a script does: it reads the clock, once, and the partition's counters. While the partition is
-- not open, because it has not been set up or is catching up with the log, nothing is read and nothing is written.
--
-- GATE is the word that this text was loaded under, see include/word.lua: a server that restarted does not know the
-- text, one that was opened anew has another word.
--
-- Needs META. Gives now, view, n (of the last record), sequence (of the last event), declared (whether anything ever was
-- declared of a type) and deadlines (whether an event ever had a deadline), nothing otherwise; and listenersVersion, which goes
-- up with each change of a type's listeners, and is 0 as long as none was declared.
--@word GATE
--@include clock
local now = clock()
local view, n, sequence, declared, deadlines, listenersVersion
do
  local meta = redis.call('HMGET', META, 'open', 'view', 'n', 'sequence', 'declared', 'deadlines', 'listeners')
  if meta[1] ~= GATE then
    return redis.error_reply('RECOVERING this partition is not open')
  end
  view, n, sequence, declared, deadlines = tonumber(meta[2]), tonumber(meta[3]), tonumber(meta[4]), meta[5], meta[6]
  listenersVersion = tonumber(meta[7] or 0)
end
