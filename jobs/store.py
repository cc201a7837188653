"""The only module that talks to Redis, where a job lives while it runs; `connection` opens the way to it.

Each change of a job is one script: it checks that nobody else has written since, writes, and pushes, all or nothing.
Every time that is compared is read off Redis's clock. Connection errors become `StoreUnavailable`.
"""

import asyncio
import json
import os
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import redis
from django.core.signals import setting_changed
from redis.exceptions import RedisError, ResponseError

from . import connection, events
from .conf import jobs_settings
from .exceptions import StoreUnavailable
from .record import Record, changed_fields, from_hash, to_hash
from .states import ALIVE

Push = tuple[str, bytes]  # a channel of Redis and what to publish there

RESPITE = 1.0  # seconds without another try after a time-out: a request waits once, not for each of its commands
INDEX_SIZE = 1000  # newest jobs kept in the index of one owner or tag

ALL = "all"  # the index of all jobs, whoever's they are; it is no topic, so nobody can listen to it
ALL_SIZE = 100_000  # newest jobs kept in it (some 13 MB of Redis' memory); `sweep_jobs` takes out what has ended
ALL_TTL = 30 * 86400  # seconds; longer than any job runs

_making = threading.Lock()

LUA = Path(__file__).parent / "lua"


@dataclass(frozen=True, slots=True)
class Change:
    """What one transition does besides the fields it sets."""

    stamp: str = ""  # the field that becomes this moment: created_at, started_at or ended_at
    deadline: float | None = None  # seconds from now until the job counts as overdue; 0 never, None as before
    overdue: bool = False  # only if the deadline has passed
    keep_version: bool = False  # of the new record; else it gets a new one


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a write: the record as it is now stored (None: there is none), and whether we wrote it."""

    written: bool
    record: Record | None
    now: int = 0


class Glance(NamedTuple):
    """What is seen of a job at a glance; of one that is not there nothing."""

    is_alive: bool = False
    is_overdue: bool = False
    state: str = ""


def write(old: Record | None, new: Record, change: Change, pushes: Sequence[Push] = ()) -> Outcome:
    """Turn the stored `old` into `new` (`None` creates it) and publish, in one round trip.

    Nothing happens, and the outcome tells what is stored, if somebody else has written since `old` was read.
    Safe to repeat: a write whose answer was lost is recognised by its mark.
    """
    mark = json.dumps(f"{_process_mark()}{next(_marks)}")
    keys, args = _arguments(old, new, change, pushes, mark)
    with _errors():
        done, answer, *rest = _script("write")(keys=keys, args=args)
    if int(done):
        return Outcome(True, _written(old, new, change, int(answer)))
    return Outcome(False, _record(new.id, dict(zip(rest[0][::2], rest[0][1::2], strict=True))), int(answer))


def read(job_id: str) -> Outcome:
    """Read one job, with the moment at which it was read."""
    return read_all([job_id])[0]


def read_all(job_ids: Sequence[str]) -> list[Outcome]:
    """Read many jobs in one round trip."""
    with _errors():
        pipeline = client().pipeline(transaction=False)
        return _outcomes(job_ids, _ask(pipeline, job_ids).execute(raise_on_error=False))


def add_to_indexes(record: Record) -> None:
    """Enter a new job in the lists of its owner, of its tags and of all jobs, in one round trip; safe to repeat."""
    ttl = jobs_settings().TTL
    topics = events.topics_of(record.id, record.owner, record.tags)[1:]
    lists = [(ALL, ALL_SIZE, ALL_TTL), *((topic, INDEX_SIZE, ttl) for topic in topics)]
    pipeline = client().pipeline(transaction=False)
    for topic, size, seconds in lists:
        key = index_key(topic)
        pipeline.zadd(key, {record.id: record.version})
        pipeline.zremrangebyrank(key, 0, -size - 1)
        pipeline.expire(key, seconds)
    with _errors():
        pipeline.execute()


def all_ids(start: int, limit: int) -> list[str]:
    """Return the ids of all jobs that are listed, the oldest first, from a place in the list on."""
    with _errors():
        ids: Any = client().zrange(index_key(ALL), start, start + limit - 1)
    return list(ids)


def glance(job_ids: Sequence[str]) -> list[Glance]:
    """Look at the states of many jobs in one round trip; far cheaper than to read them."""
    pipeline = client().pipeline(transaction=False)
    pipeline.time()
    for job_id in job_ids:
        pipeline.hmget(job_key(job_id), "state", "deadline")
    with _errors():
        time, *answers = pipeline.execute(raise_on_error=False)
        if isinstance(time, Exception):
            raise time
    return [_glance(answer, time[0] * 1_000_000 + time[1]) for answer in answers]


def forget(job_ids: Sequence[str]) -> None:
    """Take jobs off the list of all; they stay where they are."""
    if job_ids:
        with _errors():
            client().zrem(index_key(ALL), *job_ids)


def indexed(topic: str, limit: int) -> list[str]:
    """Return the ids of the newest jobs of an owner's or a tag's topic."""
    with _errors():
        ids: Any = client().zrevrange(index_key(topic), 0, limit - 1)
    return list(ids)


def beat(job_ids: Sequence[str], lost_after: float) -> None:
    """Put off the deadlines of those of the jobs that are running, by seconds; in one round trip."""
    pipeline = client().pipeline(transaction=False)
    for job_id in job_ids:
        _script("beat")([job_key(job_id)], [f"{lost_after * 1_000_000:.0f}", jobs_settings().TTL], pipeline)
    with _errors():
        pipeline.execute(raise_on_error=False)


def ping() -> None:
    """Raise `StoreUnavailable` unless Redis answers."""
    with _errors():
        client().ping()


def clock() -> int:
    """Return the time of Redis in microseconds."""
    with _errors():
        seconds, microseconds = client().time()
    return int(seconds) * 1_000_000 + int(microseconds)


def examine(pushes: Sequence[Push] = ()) -> tuple[int, str]:
    """Write a record by the script, push with it, and remove it; return Redis's clock in microseconds and its policy.

    The policy is what Redis does when its memory is full; "" where that has no limit. Raises `StoreUnavailable`.
    """
    outcome = write(None, Record(f"doctor-{secrets.token_hex(8)}"), Change(), pushes)
    if not outcome.written or outcome.record is None:
        raise StoreUnavailable("Redis at JOBS['REDIS_URL'] did not take what was written to it.")
    with _errors():
        client().delete(job_key(outcome.record.id))
        memory: Any = client().info("memory")
    return outcome.record.version, memory.get("maxmemory_policy", "") if memory.get("maxmemory") else ""


def standby() -> connection.Standby | None:
    """Say which server holds the jobs, if sentinels may change that; raises `StoreUnavailable`."""
    with _errors():
        return connection.standby(client())


def job_key(job_id: str) -> str:
    """Name the hash of one job; the braces keep all keys of a job in one slot of a cluster."""
    return f"jobs:{{{job_id}}}"


def index_key(topic: str) -> str:
    """Name the sorted set of the jobs of a topic."""
    return f"jobs:index:{topic}"


_client = cache(connection.connect)


def client() -> "redis.Redis":
    """Return this process's connection pool; made anew in a forked child.

    One thread at a time: `cache` lets two make one each, and the one that is dropped closes its connections in use.
    """
    with _making:
        return _client()


class AsyncReader:
    """Reads jobs for the sockets of one event loop: what is asked for at the same moment shares one round trip."""

    def __init__(self) -> None:
        self._client = connection.connect_async()
        self._one_at_a_time = asyncio.Lock()
        self._wanted: dict[str, asyncio.Future[Outcome]] = {}
        self._reading: set[asyncio.Task[None]] = set()

    async def read(self, job_id: str) -> Outcome:
        """Read one job, with the moment; raises `StoreUnavailable`."""
        if job_id not in self._wanted:
            self._wanted[job_id] = asyncio.get_running_loop().create_future()
            if len(self._wanted) == 1:
                task = asyncio.ensure_future(self._read_wanted())
                self._reading.add(task)
                task.add_done_callback(self._reading.discard)
        return await asyncio.shield(self._wanted[job_id])

    async def read_all(self, job_ids: Sequence[str]) -> list[Outcome]:
        """Read many jobs in one round trip."""
        with _errors():
            pipeline = self._client.pipeline(transaction=False)
            return _outcomes(job_ids, await _ask(pipeline, job_ids).execute(raise_on_error=False))

    async def indexed(self, topic: str, limit: int) -> list[str]:
        """Return the ids of the newest jobs of an owner's or a tag's topic."""
        with _errors():
            ids: Any = await self._client.zrevrange(index_key(topic), 0, limit - 1)
        return list(ids)

    async def close(self) -> None:
        """Close the connections; the reader opens new ones if it is used again."""
        await self._client.aclose()

    async def _read_wanted(self) -> None:
        async with self._one_at_a_time:
            wanted, self._wanted = self._wanted, {}
            await self._answer(wanted)

    async def _answer(self, wanted: dict[str, asyncio.Future[Outcome]]) -> None:
        try:
            outcomes = await self.read_all(list(wanted))
        except StoreUnavailable as error:
            for future in wanted.values():
                future.set_exception(error)
        else:
            for future, outcome in zip(wanted.values(), outcomes, strict=True):
                future.set_result(outcome)


_readers: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncReader] = WeakKeyDictionary()


def async_reader() -> AsyncReader:
    """Return the reader of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _readers:
        _readers[loop] = AsyncReader()
    return _readers[loop]


_marks = count()


@cache
def _process_mark() -> str:
    """Return what is different in every process."""
    return secrets.token_hex(8)


def _arguments(
    old: Record | None, new: Record, change: Change, pushes: Sequence[Push], mark: str
) -> tuple[list[str], list[Any]]:
    fields, deleted = changed_fields(old, new) if old else (to_hash(new), [])
    for name in ("version", change.stamp, *(["deadline"] if change.deadline is not None else [])):
        fields.pop(name, None)
    deadline = "" if change.deadline is None else f"{change.deadline * 1_000_000:.0f}"
    head = [old.version if old else "", mark, int(change.overdue), jobs_settings().TTL, deadline, change.stamp]
    flat = [part for item in fields.items() for part in item]
    published = [part for push in pushes for part in push]
    stand_ins = [events.VERSION_TO_COME, events.TIME_TO_COME]
    known = f"={new.version}" if change.keep_version else new.version
    return [job_key(new.id)], [*head, *stand_ins, known, len(fields), len(deleted), *flat, *deleted, *published]


def _written(old: Record | None, new: Record, change: Change, version: int) -> Record:
    values: dict[str, Any] = {"version": version}
    if change.stamp:
        values[change.stamp] = version
    if change.deadline is not None:
        values["deadline"] = version + int(change.deadline * 1_000_000) if change.deadline else 0
    return new.replace(**values)


def _ask(pipeline: Any, job_ids: Sequence[str]) -> Any:
    pipeline.time()
    for job_id in job_ids:
        pipeline.hgetall(job_key(job_id))
    return pipeline


def _outcomes(job_ids: Sequence[str], answers: list[Any]) -> list[Outcome]:
    time, *hashes = answers
    if isinstance(time, Exception):
        raise time
    now = time[0] * 1_000_000 + time[1]
    return [Outcome(False, _record(job_id, stored), now) for job_id, stored in zip(job_ids, hashes, strict=True)]


def _glance(answer: Any, now: int) -> Glance:
    if isinstance(answer, ResponseError) or not answer[0]:
        return Glance()
    stored, deadline = answer
    state = stored.strip('"')  # JSON, and a state's name holds nothing that would be escaped
    is_overdue = deadline is not None and deadline.isdecimal() and 0 < int(deadline) <= now
    return Glance(state in ALIVE, is_overdue, state)


def _record(job_id: str, stored: Any) -> Record | None:
    if isinstance(stored, ResponseError) and str(stored).startswith("WRONGTYPE"):
        return from_hash(job_id, {})  # one damaged job must not hide the others
    if isinstance(stored, Exception):
        raise stored
    return from_hash(job_id, stored) if stored else None


@cache
def _script(name: str) -> Any:
    return client().register_script((LUA / f"{name}.lua").read_text())


class _Hang:
    """When a command timed out last, by this process's monotonic clock."""

    at = -RESPITE


@contextmanager
def _errors() -> Iterator[None]:
    if monotonic() - _Hang.at < RESPITE:
        raise StoreUnavailable("Redis at JOBS['REDIS_URL'] has not answered a moment ago.")
    try:
        yield
    except (RedisError, OSError) as error:
        if isinstance(error, connection.HANGS):
            _Hang.at = monotonic()
        raise StoreUnavailable(f"Redis at JOBS['REDIS_URL'] does not do its work: {error}") from error


def _forget(**kwargs: Any) -> None:
    if kwargs.get("setting", "JOBS") == "JOBS":
        _client.cache_clear()
        _script.cache_clear()
        _process_mark.cache_clear()
        _readers.clear()
        _Hang.at = -RESPITE


def _after_fork() -> None:
    global _making
    _making = threading.Lock()
    _forget()


setting_changed.connect(_forget, dispatch_uid="jobs.store")
os.register_at_fork(after_in_child=_after_fork)
