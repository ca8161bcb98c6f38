#!lua flags=no-writes
-- Types, in the order of their ordinals.
--
-- KEYS     below
-- ARGV     1 the first ordinal wanted, 2 how many
-- RETURNS  how many there are; then for each its name, its version, whether it is paused (1 or 0), what is declared, or
--          nothing, and how many of its events are not complete
--@keys meta typeNames policies open
--@include gate
local first = tonumber(ARGV[1])
local names = redis.call('LRANGE', TYPE_NAMES, first, first + ARGV[2] - 1)
local answers = { redis.call('LLEN', TYPE_NAMES) }
for index, name in ipairs(names) do
  local ordinal = first + index - 1
  local found = declared and redis.call('HMGET', POLICIES, ordinal, ordinal .. '.text') or { false, false }
  local rules = found[1] and cjson.decode(found[1]) or { version = 0, paused = false }
  local size = #answers
  answers[size + 1] = name
  answers[size + 2] = rules.version
  answers[size + 3] = rules.paused and 1 or 0
  answers[size + 4] = found[2]
  answers[size + 5] = tonumber(redis.call('HGET', OPEN, ordinal) or 0)
end
return answers
