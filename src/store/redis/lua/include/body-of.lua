-- bodyOf(text): in which hash, and under which field, the body of a record stands; nothing when it has none.
--
-- Needs ENVELOPES and RESULTS.
local function bodyOf(text)
  local op, id = string.match(text, '^%["(%u)",%d+,"([^"]+)"')
  if op == 'A' then
    return ENVELOPES, id
  end
  if op == 'M' then
    return RESULTS, cjson.decode(text)[5]
  end
  if op ~= 'C' and op ~= 'R' and op ~= 'D' and op ~= 'L' then
    return nil
  end
  local entry = cjson.decode(text)
  -- The fingerprint comes last.
  if not entry[#entry] then
    return nil
  end
  local field = id .. '.' .. entry[5] .. '.' .. entry[6]
  return RESULTS, op == 'L' and field .. '.late' or field
end
