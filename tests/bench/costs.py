"""What the verbs cost in the worker: processor time and waiting of a call, in microseconds, and round trips to Redis.

The kinds of calls take turns, so that whatever else the machine does meets all of them.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import redis
from django.conf import settings
from django.contrib.messages.storage import default_storage
from django.test import RequestFactory, override_settings
from redis.connection import AbstractConnection

from jobs import events
from jobs.claim import claim
from jobs.job import Job
from jobs.repository import JobRepository

from .bare import CHANNEL

WARM_UP = 5  # calls, which also open the connection and load the script
UNTHROTTLED = 1_000_000  # progress calls a second


class Costs:
    """Measures in this process; the methods are called from the bench."""

    def measure_calls(self, rounds: int, calls: int) -> dict[str, list[float]]:
        """Return for each kind of call its microseconds, one figure a round."""
        kinds: dict[str, Callable[[int], float]] = {
            "publish": _publish,
            "complete": partial(_complete, ARCHIVE=False),
            "complete_archived": _complete,
            "progress_sent": _progress_sent,
            "progress_throttled": _progress_throttled,
        }
        taken: dict[str, list[float]] = defaultdict(list)
        for _round in range(rounds):
            for kind, measure in kinds.items():
                taken[kind].append(measure(calls))
        return dict(taken)

    def count_trips(self, calls: int) -> dict[str, float]:
        """Return the round trips of one `complete()`, of a whole life, and the connections opened by `complete()`."""
        jobs = [_running_job() for _ in range(calls)]
        monitor = redis.Redis.from_url(settings.REDIS_URL)
        connections = _connections_ever(monitor)
        with counted_trips() as complete:
            for job in jobs:
                job.complete()
        opened = _connections_ever(monitor) - connections
        with counted_trips() as life:
            _live()
        return {
            "round_trips_per_complete": complete.call_count / calls,
            "connections_per_complete": opened / calls,
            "round_trips_per_life": life.call_count,
        }


@contextmanager
def counted_trips() -> Iterator[Any]:
    """Count what synchronous clients in this process send to Redis; a pipeline counts once."""
    send = AbstractConnection.send_packed_command
    with patch.object(AbstractConnection, "send_packed_command", autospec=True, side_effect=send) as counted:
        yield counted


def _publish(calls: int) -> float:
    client = redis.Redis.from_url(settings.REDIS_URL)
    payload = events.encode(events.frame(events.READY, _running_job()))
    return _per_call(lambda: client.publish(CHANNEL, payload), calls)


def _complete(calls: int, **jobs_settings: Any) -> float:
    with override_settings(JOBS={**settings.JOBS, **jobs_settings}):
        jobs = iter([_running_job() for _ in range(calls + WARM_UP)])
        return _per_call(lambda: next(jobs).complete(), calls)


def _progress_sent(calls: int) -> float:
    with override_settings(JOBS={**settings.JOBS, "PROGRESS_PER_SECOND": UNTHROTTLED}):
        job = _running_job()
        numbers = iter(range(calls + WARM_UP))
        return _per_call(lambda: job.set_progress(next(numbers), calls + WARM_UP, "A name passes by"), calls)


def _progress_throttled(calls: int) -> float:
    """Measure calls that come too early; the first is sent, and the second starts the timer of the last."""
    job = _running_job()
    numbers = iter(range(calls + WARM_UP))
    try:
        return _per_call(lambda: job.set_progress(next(numbers), calls + WARM_UP, "A name passes by"), calls)
    finally:
        job.complete()


def _per_call(call: Callable[[], object], calls: int) -> float:
    for _ in range(WARM_UP):
        call()
    start = time.perf_counter_ns()
    for _ in range(calls):
        call()
    return (time.perf_counter_ns() - start) / calls / 1000


def _running_job() -> Job:
    job = JobRepository().create(owner="user:1")
    job.start()
    return job


def _live() -> None:
    """Lead one job from `create` to the end of `on_ready`, as view, worker, page and view do."""
    job_id = JobRepository().create(owner="user:1").id
    in_worker = JobRepository().find(job_id)
    in_worker.start()
    in_worker.complete()
    request = RequestFactory(SERVER_NAME=settings.ALLOWED_HOSTS[0]).post("/")
    request.session = {}
    request._messages = default_storage(request)
    claim(JobRepository().find(job_id), request)


def _connections_ever(client: redis.Redis) -> int:
    return client.info("stats")["total_connections_received"]
