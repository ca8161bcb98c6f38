#!lua flags=allow-oom
-- Relayed: events that were emitted here are in the partitions of their types, for good.
--
-- KEYS     below
-- ARGV     1–7 head; then their ids
-- RETURNS  whom it wakes, then how many of them that is news of
--@keys meta events envelopes results relays relaying trees forgotten outbox
--@include gate
--@include head
--@include record
--@include wake
--@include state
--@include relay
local count = 0
for place = FIRST, #ARGV do
  local child = ARGV[place]
  local packed = redis.call('HGET', RELAYS, child)
  if packed then
    local relay = cjson.decode(packed)
    local id, root = relay[1], relay[2]
    local state = loadState(id)
    record('Y', now, id, state[TYPE], child)
    applyRelayed(state, child, root)
    saveState(id, state)
    count = count + 1
  end
end
noteRecords()
return { wakeAll(), count }
