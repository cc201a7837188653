"""Opens connections to the Redis that holds the jobs, for threads and for event loops.

No other module opens one.
"""

from typing import Any

import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobs.conf import jobs_settings

from .address import address

COMMAND_TIMEOUT = 2.0  # seconds; with one retry, a Redis that hangs costs a caller 4 s
SENTINEL_TIMEOUT = 0.5  # seconds for one sentinel that hangs, before the next one is asked
MAX_CONNECTIONS = 50  # of one process; when all are in use, a caller waits for one

# What a caller gets from a server that hangs, and from sentinels that hang or know no master.
TIMEOUT_ERRORS = (
    TimeoutError,
    redis.TimeoutError,
    redis.sentinel.MasterNotFoundError,
    redis.asyncio.sentinel.MasterNotFoundError,
)


def connect() -> "redis.Redis":
    """Return a client for threads, with its own pool; callers wait for a free connection."""
    options = _options(Retry)
    if address().service:
        return redis.Redis.from_pool(
            _sentinel_pool(_Pool, redis.sentinel.Sentinel, Retry, options)
        )
    return redis.Redis.from_pool(
        redis.BlockingConnectionPool.from_url(jobs_settings().REDIS_URL, **options)
    )


def connect_async(**options: Any) -> "redis.asyncio.Redis":
    """Return a client for the running event loop, with its own pool, as `connect` does."""
    options = _options(AsyncRetry) | options
    if address().service:
        sentinels = _sentinel_pool(
            _AsyncPool, redis.asyncio.sentinel.Sentinel, AsyncRetry, options
        )
        return redis.asyncio.Redis.from_pool(sentinels)
    pool = redis.asyncio.BlockingConnectionPool.from_url(jobs_settings().REDIS_URL, **options)
    return redis.asyncio.Redis.from_pool(pool)


def connect_listener() -> "redis.asyncio.Redis":
    """Return a client to subscribe with.

    It waits without a timeout while nothing is published. It does not reconnect by itself: it
    raises when its connection breaks.
    """
    return connect_async(
        decode_responses=False, socket_timeout=None, retry=AsyncRetry(NoBackoff(), 0)
    )


class _Pool(redis.sentinel.SentinelConnectionPool, redis.BlockingConnectionPool):
    """Asks the sentinels for the master at each new connection."""

    def disconnect(self, inuse_connections: bool = True) -> None:
        """Close the connections.

        redis-py closes only the idle ones when the master has changed. redis-py 6 cannot do that.
        """
        if inuse_connections:
            super().disconnect()
        else:
            for connection in filter(None, list(self.pool.queue)):
                connection.disconnect()


class _AsyncPool(
    redis.asyncio.sentinel.SentinelConnectionPool, redis.asyncio.BlockingConnectionPool
):
    """Does the same for an event loop."""

    async def disconnect(self, inuse_connections: bool = True) -> None:
        """Close the connections; together with all of them, those to the sentinels.

        redis-py leaves the connections to the sentinels open.
        """
        await super().disconnect(inuse_connections)
        if inuse_connections:
            for sentinel in self.sentinel_manager.sentinels:
                await sentinel.aclose()


def _options(retry: Any) -> dict[str, Any]:
    return {
        "decode_responses": True,
        "encoding_errors": "replace",
        "socket_timeout": COMMAND_TIMEOUT,
        "socket_connect_timeout": COMMAND_TIMEOUT,
        "max_connections": MAX_CONNECTIONS,
        "timeout": COMMAND_TIMEOUT,  # of the wait for a free connection
        "retry": retry(NoBackoff(), 1),
    }


def _sentinel_pool(pool: Any, sentinel: Any, retry: Any, options: dict[str, Any]) -> Any:
    timeouts = {"socket_timeout": SENTINEL_TIMEOUT, "socket_connect_timeout": SENTINEL_TIMEOUT}
    sentinel_options = timeouts | address().sentinel_options | {"retry": retry(NoBackoff(), 0)}
    sentinels = sentinel(address().places, sentinel_kwargs=sentinel_options)
    return pool(address().service, sentinels, **options | address().options)
