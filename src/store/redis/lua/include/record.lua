-- record(op, ...): appends the next record to the outbox, as a JSON array that outbox.ts reads. Bodies stay where they
-- are; the record names them. A false stands for null.
-- noteRecords(): notes the position that was reached.
--
-- Needs gate, META and OUTBOX.
local recordedUpTo = n

local function record(...)
  n = n + 1
  redis.call('XADD', OUTBOX, view .. '-' .. n, 'r', cjson.encode({ ... }))
end

local function noteRecords()
  if n ~= recordedUpTo then
    redis.call('HSET', META, 'n', n)
  end
end
