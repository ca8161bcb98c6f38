#!lua flags=no-writes
-- The listeners of all types.
--
-- KEYS     below
-- ARGV     1 the version that the caller knows, or nothing
-- RETURNS  their version; unless the caller knows it, then what is kept of each type, as include/listeners.lua says, behind the type's ordinal
--@keys meta subscribers
--@include gate
if tonumber(ARGV[1]) == listenersVersion then
  return { listenersVersion }
end
return { listenersVersion, unpack(redis.call('HGETALL', SUBSCRIBERS)) }
