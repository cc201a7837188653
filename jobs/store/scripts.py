"""This process's link to the Redis that holds the jobs: one client, errors of our own, and scripts.

A script is sent by its name only; a Redis that does not know it, being new or restarted, is given it. One connection
is kept for scripts alone: redis-py's pool, which looks at a connection and counts it at each use, takes as long as the
rest of the call.
"""

import math
import threading
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import redis
from redis.exceptions import (
    AskError,
    ClusterCrossSlotError,
    ClusterError,
    NoScriptError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from jobs.conf import jobs_settings
from jobs.exceptions import StoreUnavailable
from jobs.runtime.per_process import per_process
from jobs.runtime.replaceable import replaceable

from . import connection
from .resp import pack

RESPITE = 1.0  # seconds without another try after a time-out: a request waits once, not for each of its commands

LUA = Path(__file__).parent / "lua"

# What a node of a Redis Cluster answers to a client that knows no other; `MovedError` is an `AskError`.
CLUSTER = (AskError, ClusterError, ClusterCrossSlotError, TryAgainError)
NO_CLUSTER = (
    "Redis at JOBS['REDIS_URL'] is a node of a Redis Cluster, which is not supported. "
    "Use a single Redis, or one with sentinels."
)


class Call(NamedTuple):
    """One run of a script."""

    script: str
    key: str
    arguments: Sequence[Any]
    more_keys: Sequence[str] = ()

    @property
    def all_keys(self) -> list[str]:
        """The keys that the script touches."""
        return [self.key, *self.more_keys]


class errors:  # noqa: N801 - reads as a function, as contextlib's do; a class, for it is entered with every command
    """Turn what goes wrong with Redis into `StoreUnavailable`; raise it at once shortly after a time-out."""

    def __enter__(self) -> None:
        give_respite()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (RedisError, OSError)):
            if isinstance(error, connection.HANGS):
                _last_timeout().at = monotonic()
            if isinstance(error, CLUSTER):
                raise StoreUnavailable(NO_CLUSTER) from error
            raise StoreUnavailable(
                f"Redis at JOBS['REDIS_URL'] does not do its work: {error}"
            ) from error


@replaceable
def give_respite() -> None:
    """Raise `StoreUnavailable` shortly after a time-out."""
    if monotonic() - _last_timeout().at < RESPITE:
        raise StoreUnavailable("Redis at JOBS['REDIS_URL'] has not answered a moment ago.")


@per_process(reset_on="JOBS")
def client() -> "redis.Redis":
    """Return the connection pool of this process."""
    return connection.connect()


def is_in_cluster() -> bool:
    """Say whether Redis is a node of a Redis Cluster; raises `StoreUnavailable`."""
    with errors():
        cluster: Any = client().info("cluster")
    return bool(cluster.get("cluster_enabled"))


def server() -> str:
    """Name the place where jobs are kept, so that two processes can compare theirs.

    Raises `StoreUnavailable`.
    """
    with errors():
        about: Any = client().info("server")
    run_id = about.get("run_id")  # of the server; a new one after a restart
    return f"{run_id}/{connection.address().database}/{jobs_settings().PREFIX}" if run_id else ""


def run(call: Call) -> Any:
    """Run a script in one round trip and return its answer."""
    script = _script(call.script)
    with errors():
        try:
            return _kept().execute(
                "EVALSHA", script.sha, len(call.all_keys), *call.all_keys, *call.arguments
            )
        except NoScriptError:
            return script(keys=call.all_keys, args=call.arguments)


def run_all(calls: Sequence[Call]) -> list[Any]:
    """Run scripts in one round trip, and return the answer of each, or the error with which Redis refused it.

    All of them are sent again if Redis does not know one yet, or if the answers got lost: they are safe to repeat.
    """
    with errors():
        answers = _send(calls)
        if any(isinstance(answer, NoScriptError) for answer in answers):
            for name in {call.script for call in calls}:
                client().script_load(_script(name).script)
            answers = _send(calls)
    return answers


def is_of_another_type(answer: Any) -> bool:
    """Say whether Redis refused a command because somebody has put something else under the key."""
    return isinstance(answer, ResponseError) and str(answer).startswith("WRONGTYPE")


def _send(calls: Sequence[Call]) -> list[Any]:
    pipeline = client().pipeline(transaction=False)
    for call in calls:
        pipeline.evalsha(
            _script(call.script).sha, len(call.all_keys), *call.all_keys, *call.arguments
        )
    return pipeline.execute(raise_on_error=False)


class _Kept:
    """One connection of the client's, kept by whoever comes first; others meanwhile go by the client."""

    def __init__(self) -> None:
        self._is_free = threading.Lock()
        self._connection: Any = None

    def execute(self, *command: Any) -> Any:
        """Send a command and return the answer; as the client does, send it once more if none comes in time."""
        is_free = self._is_free
        if not is_free.acquire(blocking=False):
            return self._by_client(command)
        try:
            self._connection = self._connection or client().connection_pool.get_connection()
            try:
                return self._ask([pack(command)])
            except (
                redis.ConnectionError
            ):  # it was closed while nobody used it, or another server is the master now
                return self._by_client(command)
        finally:
            is_free.release()

    def _by_client(self, command: Sequence[Any]) -> Any:
        untyped: Any = client()
        return untyped.execute_command(*command)

    def _ask(self, packed: Any, is_last: bool = False) -> Any:
        """Send and read; what interrupts this, such as a task's time limit, leaves no answer for another to read."""
        kept = self._connection
        try:
            kept.send_packed_command(packed, check_health=False)
            return kept.read_response()
        except ResponseError:
            raise
        except BaseException as error:
            kept.disconnect()
            if isinstance(error, redis.TimeoutError) and not is_last:
                return self._ask(packed, is_last=True)
            self._connection = None
            client().connection_pool.release(kept)
            raise


@per_process(reset_on="JOBS")
def _kept() -> _Kept:
    return _Kept()


@per_process(reset_on="JOBS")
def _script(name: str) -> Any:
    return client().register_script((LUA / f"{name}.lua").read_text())


class _Timeout:
    """When a command last timed out, by this process's monotonic clock."""

    at = -math.inf


@per_process(reset_on="JOBS")
def _last_timeout() -> _Timeout:
    return _Timeout()
