-- Ordering keys, see src/event/keyed.ts: of the deliveries that one listener of a type has of events with the same key, the
-- oldest that has not ended is the head, and the head alone may be leased. KEYED has each that has not ended as
-- `type.listener/key/sequence` with its id behind, all with the same score, so that they stand in the order of these names.
--
-- Needs KEYED.
local joinKey, keyedMember, oldestOfKey, idInKeyed
do
  local function prefixOf(ordinal, listener, key)
    return ordinal .. '.' .. listener .. '/' .. key .. '/'
  end

  function keyedMember(ordinal, listener, key, someSequence, id)
    return prefixOf(ordinal, listener, key) .. string.format('%016.0f', someSequence) .. id
  end

  function idInKeyed(member)
    return string.match(member, '/%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d([^/]+)$')
  end

  -- What comes behind a slash is a digit, and before a tilde.
  function oldestOfKey(ordinal, listener, key, count)
    local prefix = prefixOf(ordinal, listener, key)
    return redis.call('ZRANGE', KEYED, '[' .. prefix, '(' .. prefix .. '~', 'BYLEX', 'LIMIT', 0, count)
  end

  -- Puts a delivery behind those that are there; true when there are none, and it is the head.
  function joinKey(ordinal, listener, key, someSequence, id)
    local head = oldestOfKey(ordinal, listener, key, 1)[1]
    redis.call('ZADD', KEYED, 0, keyedMember(ordinal, listener, key, someSequence, id))
    return not head
  end
end
