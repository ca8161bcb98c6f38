-- What it means for a past event that it was sent again, and that the event as which it was has left. States are saved by the
-- caller.
--
-- Needs view and n (of the last record) and state.

-- By the last record, as `id`.
local function noteRedriven(state, id)
  for place = ENDED_VIEW, REDRIVEN_BY do
    state[place] = state[place] or false
  end
  state[REDRIVEN_BY] = id .. ' ' .. view .. '-' .. n
end

-- Whether it showed that event, and does not any more.
local function forgetRedriven(state, id)
  local shows = state[REDRIVEN_BY] and string.match(state[REDRIVEN_BY], '^%S+') == id
  if shows then
    state[REDRIVEN_BY] = false
  end
  return shows
end
