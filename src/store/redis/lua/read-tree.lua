#!lua flags=no-writes
-- What this partition has of a tree.
--
-- KEYS     below
-- ARGV     1 id of its root
-- RETURNS  nothing when there is nothing; else its counts, see include/tree.lua, and view and n of what is archived, or nothing
--          each
--@keys meta trees
--@include gate
local packed = redis.call('HGET', TREES, ARGV[1])
if not packed then
  return false
end
local archived = redis.call('HMGET', META, 'archivedView', 'archivedN')
return { packed, archived[1], archived[2] }
