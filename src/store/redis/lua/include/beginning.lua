-- How an event begins. Of one that is plainly pending EVENTS has nothing: it is for listener 0 alone, without options, and nothing
-- has happened to it yet. Its state stands before its envelope in ENVELOPES, and is left there when something does happen: what
-- EVENTS has goes first. The envelope of an event that has always stood in EVENTS has empty brackets before it. Whoever is
-- given an envelope cuts that off, see `envelopeIn` in state-codec.ts. It makes a deep queue smaller by 133 bytes an event.
--
-- Needs EVENTS and ENVELOPES.

-- Of a larger one the state is looked at without its envelope.
local BEGINNING_ENVELOPE_BYTES_MAX = 4096

local function beginningIn(entry)
  return entry and string.match(entry, '^%[[%d,]+%]')
end

local function envelopeBytes(entry)
  return #entry - string.find(entry, ']', 1, true)
end

-- Anything else begins as arrays do in MessagePack.
local function isBeginning(packed)
  return string.sub(packed, 1, 1) == '['
end

-- What stands in ENVELOPES, and what in EVENTS, if anything. A replay has some states that are packed already.
local function withBeginning(envelope, state)
  if type(state) == 'table' and #state == 6 and #envelope <= BEGINNING_ENVELOPE_BYTES_MAX then
    return string.format('[0,%d,%d,%d,%d,%d]', unpack(state, 2, 6)) .. envelope, nil
  end
  return '[]' .. envelope, type(state) == 'table' and cmsgpack.pack(state) or state
end

-- The state of an event, packed; nothing when it is not known.
local function packedState(id)
  return redis.call('HGET', EVENTS, id) or beginningIn(redis.call('HGET', ENVELOPES, id)) or nil
end

-- Those of many, false for what is not known; and the entries in ENVELOPES that had to be looked at, by the same places.
local function packedStates(ids)
  local states, missing, places, entries = redis.call('HMGET', EVENTS, unpack(ids)), {}, {}, {}
  for place, packed in ipairs(states) do
    if not packed then
      missing[#missing + 1] = ids[place]
      places[#places + 1] = place
    end
  end
  for index, entry in ipairs(#missing > 0 and redis.call('HMGET', ENVELOPES, unpack(missing)) or {}) do
    entries[places[index]] = entry
    states[places[index]] = beginningIn(entry) or false
  end
  return states, entries
end
