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
local listener = loadListeners(tonumber(ARGV[9]))[tonumber(ARGV[10]) + 1]
-- Several processes end its deliveries, and each notices by itself that there are none left.
if not listener or listener[4] ~= (swept and 1 or 0) then
  return { '', 1 }
end
record(swept and 'W' or 'U', now, '', tonumber(ARGV[9]), tonumber(ARGV[10]))
applyListenerGone(tonumber(ARGV[9]), tonumber(ARGV[10]), swept)
noteRecords()
return { wakeAll(), 0 }
