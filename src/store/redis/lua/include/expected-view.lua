-- expectView(text): an error to answer with when the caller speaks of another view than this partition stands at; behind
-- the same address there is another copy of the store now. Nothing when it is the one, or none is named.
--
-- Needs gate.
local function expectView(text)
  if text ~= '' and tonumber(text) ~= view then
    return redis.error_reply('RECOVERING this partition stands at view ' .. view .. ', not ' .. text)
  end
end
