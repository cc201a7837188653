-- Add a job to one index as its newest. A job that is already in it keeps its place. Only the newest are kept.
--
-- KEYS[1] the index, a sorted set of ids by the time at which they were added
-- ARGV    1 the id, 2 how many jobs are kept, 3 time to live in seconds

local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], 'NX', string.format('%.0f', time[1] * 1000000 + time[2]), ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -ARGV[2] - 1)
if redis.call('TTL', KEYS[1]) < tonumber(ARGV[3]) then -- another job may need a longer one
  redis.call('EXPIRE', KEYS[1], ARGV[3])
end
