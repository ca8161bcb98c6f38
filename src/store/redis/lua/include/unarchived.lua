-- What of an event is not archived yet. One with `archive` durability keeps a note of each of its records until that is
-- in the log, see UNARCHIVED in state.lua.
--
-- Needs META, view and n (of the last record), state and wake.
--@include is-unarchived

local function positionIn(note)
  local someView, someN = string.match(note, '^(%d+)-(%d+)')
  return tonumber(someView), tonumber(someN)
end

-- Notes the last record; those that have been archived since are let go. A listener other than 0 stands before the grant;
-- `mark` behind it says more, see state-codec.ts.
local function noteUnarchived(state, op, grant, listener, mark)
  local notes = {}
  for note in string.gmatch(state[UNARCHIVED], '[^,]+') do
    if #notes > 0 or isUnarchived(positionIn(note)) then
      notes[#notes + 1] = note
    end
  end
  local of = (listener or 0) == 0 and grant or listener .. '.' .. grant
  notes[#notes + 1] = view .. '-' .. n .. op .. of .. (mark or '')
  state[UNARCHIVED] = table.concat(notes, ',')
end

-- Puts behind an answer about the event what must be archived before the answer is given. Nothing with `store` durability.
local function promise(answer, state)
  if not state[UNARCHIVED] then
    return answer
  end
  local someView, someN = positionIn(string.match(state[UNARCHIVED], '[^,]+$'))
  if isUnarchived(someView, someN) then
    answer[#answer + 1] = someView
    answer[#answer + 1] = someN
    wakeArchiver()
  end
  return answer
end
