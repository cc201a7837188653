-- Take a job back, if it is as one write has left it.
--
-- KEYS[1] the job's hash
-- ARGV    1 the mark of that write

if redis.call('HGET', KEYS[1], 'mark') == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
