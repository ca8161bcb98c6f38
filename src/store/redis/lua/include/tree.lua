-- Counts of trees, by their roots: pending, in process, success, fail, on their way to other partitions, not settled; view and n of the last
-- change, and of the last one of an event with `archive` durability. They are gathered, and written by `writeTrees`.
--
-- Needs view and n (of the last record) and wakeEvent; META and TREES only where something is counted.
local AS_PENDING, AS_IN_PROCESS, AS_SUCCESS, AS_FAIL, AS_RELAYING, LIVE_IN_TREE = 1, 2, 3, 4, 5, 6
do
  local CHANGED_VIEW, CHANGED_N, PROMISED_VIEW, PROMISED_N = 7, 8, 9, 10
  local treesTouched = {}

  -- From one place or nothing to another or nothing.
  function moveInTree(root, from, to, promised)
    local tree = treesTouched[root]
    if not tree then
      local packed = redis.call('HGET', TREES, root)
      tree = packed and cjson.decode(packed) or { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
      treesTouched[root] = tree
    end
    if from then
      tree[from] = tree[from] - 1
    end
    if to then
      tree[to] = tree[to] + 1
    end
    tree[CHANGED_VIEW], tree[CHANGED_N] = view, n
    if promised then
      tree[PROMISED_VIEW], tree[PROMISED_N] = view, n
    end
    if from and tree[LIVE_IN_TREE] + tree[AS_RELAYING] == 0 then
      wakeEvent(root)
    end
    if tree[AS_PENDING] + tree[AS_IN_PROCESS] + tree[AS_SUCCESS] + tree[AS_FAIL] + tree[AS_RELAYING] == 0 then
      -- What comes after begins anew.
      redis.call('HDEL', TREES, root)
      treesTouched[root] = nil
    end
  end

  function writeTrees()
    for root, tree in pairs(treesTouched) do
      redis.call('HSET', TREES, root, cjson.encode(tree))
    end
    treesTouched = {}
  end
end
