-- Making a job that sends past events again, see redrive.lua.
--
-- Needs record, redrive and REDRIVES.

-- All jobs: how many, how many of them under way, the oldest that has ended, and the one that the key was used for.
local function survey(scope)
  local count, running, oldest, first = 0, 0, nil, nil
  local all = redis.call('HGETALL', REDRIVES)
  for place = 1, #all, 2 do
    local id, job = all[place], cjson.decode(all[place + 1])
    count = count + 1
    if job[3] == 'running' then
      running = running + 1
    elseif not oldest or id < oldest then
      oldest = id
    end
    if scope ~= '' and job[9] == scope then
      first = { id, job }
    end
  end
  return count, running, oldest, first
end

-- What `job` is from now on; made, it is about what is before its record.
local function recordRedrive(id, job, forgets)
  local ordinal, step, status, startedAt, endedAt, limit, wish, progress, scope, fingerprint = unpack(job)
  record(
    'V', now, '', ordinal, id, step, status, startedAt, endedAt, limit or view .. '-' .. (n + 1), wish, progress, scope,
    fingerprint, forgets
  )
  job[6] = limit or view .. '-' .. n
  applyRedriveSet(id, job, forgets)
end
