-- The state of an event: an array whose places are named here and in state-codec.ts. An event that nothing has happened
-- to since it was accepted has the first six only. It is kept as MessagePack, which scripts read twice and write six times as
-- fast as JSON; only a beginning is text.
--
-- Needs EVENTS and ENVELOPES.
--@include beginning

-- The attempt whose result is the event's: its grant, as `listener.grant` unless it is listener 0's; 0: none.
local RESULT = 1
local TYPE = 2
local SEQUENCE = 3
local VIEW = 4
local N = 5
local CREATED_AT = 6
local VERSION = 7
local STATUS = 8
local STARTED_AT = 9
local COMPLETED_AT = 10
local OUTCOME = 11
local REASON = 12
local CANCEL_REQUESTED = 13
local DELIVERIES = 14
-- Of the record that completed the event; missing before that.
local ENDED_VIEW = 15
local ENDED_N = 16
-- Of a later record of a complete event; missing when there is none.
local LAST_VIEW = 17
local LAST_N = 18
-- With `archive` durability only, where the four before are false instead of missing: the records that may not be
-- archived yet, oldest first, each as its position, its letter and the grant that it is about (0: none), with commas.
local UNARCHIVED = 19
-- In a cascade only, where those before that are not there are false: parent and root (`-`: it has none), and how many of the
-- events that it emitted are still to be relayed, with blanks between them.
local TREE = 20
-- With a deadline only, likewise: when the event ends if it is not complete by then.
local DEADLINE_AT = 21
-- Ordinals of the listeners that get it, with blanks between them, in the order of the deliveries: the responder's is the
-- first. Missing when that is listener 0 alone. The three behind it come with the record by which all deliveries have ended;
-- without it, that is the one that completed the event.
local RECEIVERS = 22
local SETTLED_AT = 23
local SETTLED_VIEW = 24
local SETTLED_N = 25
-- With an ordering key only, where those before that are not there are false: the key, percent-encoded.
local KEY = 26
-- Likewise: the past event that it is again; and the newest event as which it was sent again itself, with the position of that
-- one's acceptance behind a blank.
local REDRIVE_OF = 27
local REDRIVEN_BY = 28

local PENDING, IN_PROCESS, COMPLETE = 0, 1, 2
local SUCCESS, FAIL = 1, 2
local BY_LISTENER, BY_ATTEMPTS, BY_DEADLINE, BY_CANCEL, BY_NOBODY = 1, 2, 3, 4, 5

-- A delivery: four places, then its attempts, the newest last. Until its event is archived the second says when it is due.
local STATE = 1
local EXPIRES_AT = 2
local GRANTS = 3
local ATTEMPT = 4
local ATTEMPTS = 5

local WAITING, LEASED, ENDED = 0, 1, 2

-- An attempt.
local GRANT = 1
local COUNT = 2
local TOKEN = 3
local GRANTED_AT = 4
local WORKER = 5
local ENDED_AT = 6
local END = 7
local END_OUTCOME = 8
local END_REASON = 9
local RETRY_AT = 10
-- False, or the fingerprint of the completion that ended it; there is a result if and only if there is one.
local FINGERPRINT = 11
local LATE_AT = 12
-- Ids of the events that its completion emitted; missing or false when there are none.
local EMITTED = 13
-- Of a delivery that was not the responder's, when it has ended: 1 the event was open, 2 it was complete.
local ASIDE = 14

local LIVE, COMPLETED, RETRIED, DEAD, EXPIRED, HANDED_BACK, UNSUBSCRIBED = 0, 1, 2, 3, 4, 5, 6

-- The root of the tree that the event is counted in; nothing for a root and outside of cascades.
local function rootOf(state)
  local root = state[TREE] and string.match(state[TREE], '^%S+ (%S+)')
  return root and root ~= '-' and root or nil
end

local function unfoldState(state)
  if not state[VERSION] then
    state[VERSION] = 1
    state[STATUS] = PENDING
    state[STARTED_AT] = 0
    state[COMPLETED_AT] = 0
    state[OUTCOME] = 0
    state[REASON] = 0
    state[CANCEL_REQUESTED] = 0
    state[DELIVERIES] = { { WAITING, 0, 0, 0 } }
  end
  return state
end

-- The listener of the delivery at a place, the place of a listener's delivery, and that delivery; nil when there is none.
local receiversRead = {}

local function receiversIn(text)
  local ordinals = receiversRead[text]
  if not ordinals then
    ordinals = {}
    for ordinal in string.gmatch(text, '%d+') do
      ordinals[#ordinals + 1] = tonumber(ordinal)
    end
    receiversRead[text] = ordinals
  end
  return ordinals
end

local function listenerAt(state, place)
  return state[RECEIVERS] and receiversIn(state[RECEIVERS])[place] or 0
end

local function placeOf(state, listener)
  if not state[RECEIVERS] then
    return listener == 0 and 1 or nil
  end
  for place, ordinal in ipairs(receiversIn(state[RECEIVERS])) do
    if ordinal == listener then
      return place
    end
  end
end

local function deliveryOf(state, listener)
  local place = placeOf(state, listener)
  return place and state[DELIVERIES][place]
end

local function isSettled(state)
  return state[STATUS] == COMPLETE and (not state[RECEIVERS] or (state[SETTLED_AT] and true or false))
end

-- As RESULT has it.
local function resultName(listener, grant)
  return listener == 0 and grant or listener .. '.' .. grant
end

local function unpackState(packed)
  return unfoldState(isBeginning(packed) and cjson.decode(packed) or cmsgpack.unpack(packed))
end

local function loadState(id)
  local packed = packedState(id)
  return packed and unpackState(packed)
end

local function saveState(id, state)
  redis.call('HSET', EVENTS, id, cmsgpack.pack(state))
end
