-- Counts by type and by listener, in OPEN: under a type's ordinal how many of its events are not complete; under
-- `ordinal.listener`, with a letter behind it: L leased, D delayed, held or behind their ordering key, X entries of its queues whose deliveries do not
-- wait any more; and A, when it last asked for leases. They are gathered, and written by `writeTallies`.
--
-- Needs OPEN where something is counted.
local tally, writeTallies
do
  local tallied = {}

  function tally(field, by)
    tallied[field] = (tallied[field] or 0) + by
  end

  function writeTallies()
    for field, by in pairs(tallied) do
      if by ~= 0 then
        redis.call('HINCRBY', OPEN, field, by)
      end
    end
    tallied = {}
  end
end
