-- record(op, ...): the next record, an array that outbox-codec.ts reads. A false stands for null. Its body stays where it is.
-- noteRecords(): appends what was recorded to the outbox and notes the position that was reached.
--
-- All records of a call are one entry of the outbox, under the position of the last: by twos where the body of a record is kept,
-- see body.lua, and the record in MessagePack. So their positions are those up to the entry's, one after the other.
--
-- Needs gate, META and OUTBOX.
--@include body
local recordedUpTo, recorded = n, {}
-- Lua takes some 8,000 arguments to a call.
local ENTRY_RECORDS_MAX = 2000

local function appendRecords()
  redis.call('XADD', OUTBOX, view .. '-' .. n, unpack(recorded))
  recorded = {}
end

local function record(...)
  local entry = { ... }
  n = n + 1
  recorded[#recorded + 1] = bodyNameOf(entry)
  recorded[#recorded + 1] = cmsgpack.pack(entry)
  if #recorded >= 2 * ENTRY_RECORDS_MAX then
    appendRecords()
  end
end

local function noteRecords()
  if #recorded > 0 then
    appendRecords()
  end
  if n ~= recordedUpTo then
    redis.call('HSET', META, 'n', n)
  end
end
