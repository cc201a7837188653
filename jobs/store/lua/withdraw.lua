-- Delete a job, unless somebody has written since the write with this mark.
--
-- KEYS[1] the job's hash, 2 its unique key, if it has one
-- ARGV    1 the mark of that write

local stored = redis.call('HMGET', KEYS[1], 'marks', 'version')
local as_written = ARGV[1] .. ':' .. (stored[2] or '') .. ' '
if stored[1] and stored[1]:sub(1, #as_written) == as_written then
  redis.call('DEL', KEYS[1])
  if KEYS[2] and redis.call('GET', KEYS[2]) == KEYS[1]:match('{(.*)}$') then
    redis.call('DEL', KEYS[2])
  end
end
