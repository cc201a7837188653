"""The Redis client of this process, and one error for everything that can go wrong with it.

After a timeout, commands fail at once for a second. So a request that needs several commands
waits for a hanging Redis once, not for each command.
"""

import math
from time import monotonic

import redis
from redis.exceptions import (
    AskError,
    ClusterCrossSlotError,
    ClusterError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from jobs.exceptions import StoreUnavailable
from jobs.runtime.per_process import per_process
from jobs.runtime.replaceable import replaceable

from . import connection

FAIL_FAST_SECONDS = 1.0  # after a timeout, during which no command is sent

# What a node of a Redis Cluster answers to a client that knows no other node. `MovedError` is an
# `AskError`.
CLUSTER_ERRORS = (AskError, ClusterError, ClusterCrossSlotError, TryAgainError)
NO_CLUSTER = (
    "Redis at JOBS['REDIS_URL'] is a node of a Redis Cluster, which is not supported. "
    "Use a single Redis, or one with sentinels."
)


@per_process(reset_on="JOBS")
def client() -> "redis.Redis":
    """Return the client of this process, with its connection pool."""
    return connection.connect()


class store_errors:  # noqa: N801 - reads like a function; a class is entered faster
    """Raise `StoreUnavailable` for any error of Redis; at once if a timeout has just happened."""

    def __enter__(self) -> None:
        fail_fast()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, (RedisError, OSError)):
            return
        if isinstance(error, connection.TIMEOUT_ERRORS):
            _last_timeout().at = monotonic()
        if isinstance(error, CLUSTER_ERRORS):
            raise StoreUnavailable(NO_CLUSTER) from error
        raise StoreUnavailable(
            f"Redis at JOBS['REDIS_URL'] could not run a command: {error}"
        ) from error


@replaceable
def fail_fast() -> None:
    """Raise `StoreUnavailable` if a command timed out less than `FAIL_FAST_SECONDS` ago."""
    if monotonic() - _last_timeout().at < FAIL_FAST_SECONDS:
        raise StoreUnavailable("Redis at JOBS['REDIS_URL'] did not answer a moment ago.")


def is_wrong_type(answer: object) -> bool:
    """Return whether Redis refused a command because the key holds something of another type."""
    return isinstance(answer, ResponseError) and str(answer).startswith("WRONGTYPE")


class _Timeout:
    """When a command last timed out, by this process's monotonic clock."""

    at = -math.inf


@per_process(reset_on="JOBS")
def _last_timeout() -> _Timeout:
    return _Timeout()
