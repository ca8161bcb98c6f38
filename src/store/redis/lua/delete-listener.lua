#!lua flags=allow-oom
-- Deletes a listener: it gets no events from now on. With `swept`, its last delivery has ended.
--
-- KEYS     below
-- ARGV     1–7 head, 8 the version of the listeners that the caller knows, 9 ordinal of the type, 10 of the listener,
--          11 whether it has been swept (1 or 0)
-- RETURNS  whom it wakes, then 0 done, 1 something is not as the caller knows it
--@keys meta subscribers outbox
--@include gate
--@include head
--@include record
--@include wake
--@include listeners
if listenersVersion ~= tonumber(ARGV[8]) then
  return { '', 1 }
end
local swept = ARGV[11] == '1'
record(swept and 'W' or 'U', now, '', tonumber(ARGV[9]), tonumber(ARGV[10]))
applyListenerGone(tonumber(ARGV[9]), tonumber(ARGV[10]), swept)
noteRecords()
return { wakeAll(), 0 }
