-- A heartbeat of a running job: move its deadline. The version stays, because nothing that a page shows has changed.
--
-- KEYS[1] the job's hash
-- ARGV    1 microseconds until the new deadline, 2 time to live in seconds
-- Answer  1 if the job was running, else 0

if redis.call('HGET', KEYS[1], 'state') ~= '"running"' then
  return 0
end
local time = redis.call('TIME')
local deadline = time[1] * 1000000 + time[2] + tonumber(ARGV[1])
if deadline > (tonumber(redis.call('HGET', KEYS[1], 'deadline') or '0') or 0) then
  redis.call('HSET', KEYS[1], 'deadline', string.format('%.0f', deadline))
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
