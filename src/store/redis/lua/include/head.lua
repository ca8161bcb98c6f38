-- What every script that changes something is told first, in ARGV 1 to 7: the process that asks, and the policy.
-- Items begin at ARGV[FIRST].
local INSTANCE = ARGV[1]
local LEASE_MS_MAX = tonumber(ARGV[2])
local ATTEMPTS_MAX = tonumber(ARGV[3])
local BACKOFF_FIRST_MS = tonumber(ARGV[4])
local BACKOFF_FACTOR = tonumber(ARGV[5])
local BACKOFF_MS_MAX = tonumber(ARGV[6])
local BACKOFF_JITTER = tonumber(ARGV[7])
local FIRST = 8
