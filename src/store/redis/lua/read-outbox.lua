#!lua flags=no-writes
-- Records not yet archived, with the bodies that they name.
--
-- KEYS     below
-- ARGV     1 and 2 view and n of the position to read behind, or nothing each, 3 most records, 4 most bytes, 5 whether there is one in
--          any case (1 or 0), 6 the view that the caller speaks of, or nothing
-- RETURNS  view and n of the first, and how many follow one another from there, for each run of them with blanks between; the
--          records, one behind the other; then for each its body or nothing; of an acceptance what stands in ENVELOPES
--@keys meta outbox envelopes results
--@include gate
--@include expected-view
--@include body
--@include outbox-entry
local otherView = expectView(ARGV[6])
if otherView then
  return otherView
end
local RECORDS_MAX, BYTES_MAX = tonumber(ARGV[3]), tonumber(ARGV[4])
-- So many entries are looked at together: most have many records under load, and one each when there is little to do.
local ENTRIES_AT_ONCE = 4

-- Of an entry that was archived in part the first records have been trimmed as well, as far as anybody can tell.
local afterView, afterN = tonumber(ARGV[1]) or -1, tonumber(ARGV[2]) or -1
local archived = redis.call('HMGET', META, 'archivedView', 'archivedN')
local archivedView, archivedN = tonumber(archived[1] or -1), tonumber(archived[2] or -1)
if archivedView > afterView or (archivedView == afterView and archivedN > afterN) then
  afterView, afterN = archivedView, archivedN
end

local runs, records, bodies, bytes = {}, {}, {}, 0

-- Gives whether there is room for more.
local function take(text, name)
  local hash, field = bodyKey(name)
  local body = hash and redis.call('HGET', hash, field) or false
  bytes = bytes + #text + (body and #body or 0)
  if bytes > BYTES_MAX and (#records > 0 or ARGV[5] == '0') then
    return false
  end
  records[#records + 1] = text
  bodies[#records] = body
  return #records < RECORDS_MAX
end

local function takeEntry(entry)
  local someView, before, count = recordsIn(entry)
  local passed = someView == afterView and math.max(0, afterN - before) or 0
  local taken, hasRoom = #records, true
  for place = passed + 1, count do
    hasRoom = take(entry[2][2 * place], entry[2][2 * place - 1])
    if not hasRoom then
      break
    end
  end
  if #records > taken then
    runs[#runs + 1] = string.format('%.0f %.0f %.0f', someView, before + passed + 1, #records - taken)
  end
  return hasRoom
end

local from = afterView < 0 and '-' or string.format('(%.0f-%.0f', afterView, afterN)
local hasRoom = RECORDS_MAX > 0
while hasRoom do
  local entries = redis.call('XRANGE', OUTBOX, from, '+', 'COUNT', ENTRIES_AT_ONCE)
  for _, entry in ipairs(entries) do
    hasRoom = hasRoom and takeEntry(entry)
    from = '(' .. entry[1]
  end
  hasRoom = hasRoom and #entries == ENTRIES_AT_ONCE
end
return { table.concat(runs, ' '), table.concat(records), unpack(bodies, 1, #records) }
