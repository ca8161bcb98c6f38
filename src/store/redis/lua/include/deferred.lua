-- Stands in for `redis` in the text behind it: what many records change is gathered, and written at once in the end, which is
-- far quicker. A lease that is gathered and ends before that is never written.
-- writeDeferred(): writes it.
--
-- Needs RESULTS, SETTLED, OPEN and LEASED_UNTIL.
local server = redis
local redis, callInSlices, writeDeferred
do
  local resultsGathered, settledGathered, leasesGathered, endedGathered, openGathered = {}, {}, {}, {}, {}

  -- Lua takes some 8,000 arguments to a call.
  local ARGUMENTS_MAX = 4000

  function callInSlices(command, key, arguments)
    for first = 1, #arguments, ARGUMENTS_MAX do
      server.call(command, key, unpack(arguments, first, math.min(first + ARGUMENTS_MAX - 1, #arguments)))
    end
  end

  redis = { error_reply = server.error_reply, sha1hex = server.sha1hex }

  function redis.call(command, key, ...)
    local first, second = ...
    if key == LEASED_UNTIL and command == 'ZADD' then
      leasesGathered[second] = first
      return 1
    elseif key == LEASED_UNTIL and command == 'ZREM' then
      if leasesGathered[first] then
        leasesGathered[first] = nil
      else
        endedGathered[#endedGathered + 1] = first
      end
      return 1
    elseif key == RESULTS and command == 'HSET' then
      resultsGathered[#resultsGathered + 1] = first
      resultsGathered[#resultsGathered + 1] = second
      return 1
    elseif key == SETTLED and command == 'RPUSH' then
      settledGathered[#settledGathered + 1] = first
      return 1
    elseif key == OPEN and command == 'HINCRBY' then
      openGathered[first] = (openGathered[first] or 0) + second
      return 1
    end
    return server.call(command, key, ...)
  end

  function writeDeferred()
    local leases = {}
    for member, expiresAt in pairs(leasesGathered) do
      leases[#leases + 1] = expiresAt
      leases[#leases + 1] = member
    end
    -- One that has ended may have been leased again.
    callInSlices('ZREM', LEASED_UNTIL, endedGathered)
    callInSlices('ZADD', LEASED_UNTIL, leases)
    callInSlices('HSET', RESULTS, resultsGathered)
    callInSlices('RPUSH', SETTLED, settledGathered)
    for ordinal, count in pairs(openGathered) do
      server.call('HINCRBY', OPEN, ordinal, count)
    end
    resultsGathered, settledGathered, leasesGathered, endedGathered, openGathered = {}, {}, {}, {}, {}
  end
end
