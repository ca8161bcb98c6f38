-- The state of an event: an array whose places are named here and in state-codec.ts. An event that nothing has happened
-- to since it was accepted has the first six only, which is what makes a deep queue small.
--
-- Needs EVENTS.

-- Grant of the responder's attempt whose result is the event's; 0: none.
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
-- In a cascade only, where those before that are not there are false: parent and root, with a blank between them.
local TREE = 20
-- With a deadline only, likewise: when the event ends if it is not complete by then.
local DEADLINE_AT = 21

local PENDING, IN_PROCESS, COMPLETE = 0, 1, 2
local SUCCESS, FAIL = 1, 2
local BY_LISTENER, BY_ATTEMPTS, BY_DEADLINE, BY_CANCEL = 1, 2, 3, 4

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
-- Ids of the events that its completion emitted; missing when there are none.
local EMITTED = 13

local LIVE, COMPLETED, RETRIED, DEAD, EXPIRED, HANDED_BACK = 0, 1, 2, 3, 4, 5

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

local function unpackState(packed)
  return unfoldState(cjson.decode(packed))
end

local function loadState(id)
  local packed = redis.call('HGET', EVENTS, id)
  return packed and unpackState(packed)
end

local function saveState(id, state)
  redis.call('HSET', EVENTS, id, cjson.encode(state))
end
