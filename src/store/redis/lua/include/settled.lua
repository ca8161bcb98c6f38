-- noteSettled(id, ordinal, at, view, n): all deliveries of an event had ended then, by that record. It is noted in SETTLED, or, when its type has a
-- retention of its own, in SETTLED_OWN: a sorted set with one score, so that those of a type stand together by time.
--
-- Needs declared, POLICIES, SETTLED and SETTLED_OWN.
local noteSettled, settledMember, hasOwnRetention, forgetRetentions
do
  local own = {}

  function settledMember(id, ordinal, at, someView, someN)
    return string.format('%07.0f:%015.0f:%010.0f-%015.0f:', ordinal, at, someView, someN) .. id
  end

  function hasOwnRetention(ordinal)
    if not declared then
      return false
    end
    if own[ordinal] == nil then
      local rules = redis.call('HGET', POLICIES, ordinal)
      own[ordinal] = rules and cjson.decode(rules).retentionMs ~= nil or false
    end
    return own[ordinal]
  end

  function noteSettled(id, ordinal, at, someView, someN)
    if hasOwnRetention(ordinal) then
      redis.call('ZADD', SETTLED_OWN, 0, settledMember(id, ordinal, at, someView, someN))
    else
      redis.call('RPUSH', SETTLED, id)
    end
  end

  -- Something was declared.
  function forgetRetentions()
    own = {}
  end
end
