-- bodyNameOf(entry): where the body of a record is kept: a letter for the hash, E envelopes or R results, and the field; `-` when it
-- has none.
-- bodyKey(name): that hash, and the field; nothing when there is none.
--
-- bodyKey needs ENVELOPES and RESULTS.
local function bodyNameOf(entry)
  local op = entry[1]
  if op == 'A' then
    return 'E' .. entry[3]
  elseif op == 'M' then
    return 'R' .. entry[5]
  elseif op == 'C' or op == 'L' or ((op == 'R' or op == 'D') and entry[#entry]) then
    -- The fingerprint comes last, and says that there is a result.
    local field = 'R' .. entry[3] .. '.' .. entry[5] .. '.' .. entry[6]
    return op == 'L' and field .. '.late' or field
  end
  return '-'
end

local function bodyKey(name)
  local hash = string.sub(name, 1, 1)
  if hash ~= '-' then
    return hash == 'E' and ENVELOPES or RESULTS, string.sub(name, 2)
  end
end
