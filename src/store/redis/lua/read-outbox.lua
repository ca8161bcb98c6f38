#!lua flags=no-writes
-- Records not yet archived, with the bodies that they name.
--
-- KEYS     below
-- ARGV     1 the position to read from, as XRANGE takes it, 2 most records, 3 most bytes, 4 whether there is one in any case
--          (1 or 0), 5 the view that the caller speaks of, or nothing
-- RETURNS  for each record: position, record, body or nothing; of an acceptance what stands in ENVELOPES
--@keys meta outbox envelopes results
--@include gate
--@include expected-view
--@include body-of
local otherView = expectView(ARGV[5])
if otherView then
  return otherView
end
local BYTES_MAX = tonumber(ARGV[3])

local answers, bytes = {}, 0
for _, entry in ipairs(redis.call('XRANGE', OUTBOX, ARGV[1], '+', 'COUNT', ARGV[2])) do
  local text = entry[2][2]
  local hash, field = bodyOf(text)
  local body = hash and redis.call('HGET', hash, field) or false
  bytes = bytes + #text + (body and #body or 0)
  if bytes > BYTES_MAX and (#answers > 0 or ARGV[4] == '0') then
    break
  end
  answers[#answers + 1] = entry[1]
  answers[#answers + 1] = text
  answers[#answers + 1] = body
end
return answers
