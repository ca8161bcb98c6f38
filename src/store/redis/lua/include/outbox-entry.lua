-- recordsIn(entry): the view, the position before its first record, and how many records an entry of the outbox has; see record.lua.
local function recordsIn(entry)
  local someView, last = string.match(entry[1], '^(%d+)-(%d+)$')
  local count = #entry[2] / 2
  return tonumber(someView), tonumber(last) - count, count
end
