"""Many stored jobs: copies of one job's hash, made by Redis, each on the list of all jobs."""

import redis
from django.conf import settings

from jobs.store import indexes, keys

from .costs import running_job

AT_ONCE = 10_000  # copies made by one call of the script, which takes some tenths of a second
COPY = """
local hash = redis.call('HGETALL', KEYS[1])
local ttl = redis.call('TTL', KEYS[1])
for n = ARGV[1], ARGV[2] do
  local id = 'stock-' .. n
  local key = 'jobs:{' .. id .. '}'
  redis.call('HSET', key, unpack(hash))
  redis.call('EXPIRE', key, ttl)
  if n <= tonumber(ARGV[3]) then
    redis.call('ZADD', KEYS[2], n, id)
  end
end
"""


class Stock:
    """Fills the store of this process; the method is called from the bench."""

    def store_jobs(self, count: int) -> int:
        """Store running jobs; returns how many keys Redis then has."""
        client = redis.Redis.from_url(settings.REDIS_URL)
        copy = client.register_script(COPY)
        names = [keys.job_key(running_job().id), keys.index_key(indexes.ALL)]
        for first in range(1, count + 1, AT_ONCE):
            copy(names, [f"{first}", f"{min(first + AT_ONCE - 1, count)}", f"{indexes.ALL_SIZE}"])
        return client.dbsize()
