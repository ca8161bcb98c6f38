#!lua flags=no-writes
-- Records not yet archived, with the bodies that they name.
--
-- KEYS     below
-- ARGV     1 the position to read from, as XRANGE takes it, 2 most records, 3 most bytes, 4 whether there is one in any case
--          (1 or 0), 5 the view that the caller speaks of, or nothing
-- RETURNS  for each record: position, record, body or nothing
--@keys meta outbox envelopes results
--@include gate
--@include expected-view
local otherView = expectView(ARGV[5])
if otherView then
  return otherView
end
local BYTES_MAX = tonumber(ARGV[3])

local function bodyOf(text)
  local op, id = string.match(text, '^%["(%u)",%d+,"([^"]+)"')
  if op == 'A' then
    return redis.call('HGET', ENVELOPES, id)
  end
  if op ~= 'C' and op ~= 'R' and op ~= 'D' and op ~= 'L' then
    return false
  end
  local entry = cjson.decode(text)
  -- The fingerprint comes last.
  if not entry[#entry] then
    return false
  end
  local field = id .. '.' .. entry[5] .. '.' .. entry[6]
  return redis.call('HGET', RESULTS, op == 'L' and field .. '.late' or field)
end

local answers, bytes = {}, 0
for _, entry in ipairs(redis.call('XRANGE', OUTBOX, ARGV[1], '+', 'COUNT', ARGV[2])) do
  local text = entry[2][2]
  local body = bodyOf(text)
  bytes = bytes + #text + (body and #body or 0)
  if bytes > BYTES_MAX and (#answers > 0 or ARGV[4] == '0') then
    break
  end
  answers[#answers + 1] = entry[1]
  answers[#answers + 1] = text
  answers[#answers + 1] = body
end
return answers
