-- What it means that an event was emitted for another partition, and that it is there. States are saved by the caller.
--
-- Needs now (the record's time), view and n (its position), state, tree, RELAYS, RELAYING, RESULTS and FORGOTTEN.

local applyEmitted, applyRelayed
do
  -- By so many more.
  local function addRelaying(state, more)
    for place = ENDED_VIEW, UNARCHIVED do
      state[place] = state[place] or false
    end
    local place, count = string.match(state[TREE] or '- - 0', '^(%S+ %S+) (%d+)$')
    state[TREE] = place .. ' ' .. (tonumber(count) + more)
  end

  function applyEmitted(id, state, child, childType, dueAt, archive, root, envelope, key)
    redis.call('HSET', RELAYS, child, cjson.encode({ id, root, childType, dueAt, archive and 1 or 0, view, n, key }))
    redis.call('ZADD', RELAYING, now, child)
    redis.call('HSET', RESULTS, child, envelope)
    addRelaying(state, 1)
    moveInTree(root, nil, AS_RELAYING, archive)
  end

  -- The envelope may still be wanted by the outbox: it goes once that is archived.
  function applyRelayed(state, child, root)
    redis.call('HDEL', RELAYS, child)
    redis.call('ZREM', RELAYING, child)
    redis.call('RPUSH', FORGOTTEN, cjson.encode({ view, n, child }))
    addRelaying(state, -1)
    moveInTree(root, AS_RELAYING, nil, false)
  end
end
