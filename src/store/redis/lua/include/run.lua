-- This run of the server: it changes when the server restarts, and when another takes its place.
local RUN = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
