"""What the verbs cost in the worker: microseconds of a call, waiting for Redis included.

The kinds of calls take turns, so that whatever else the machine does meets all of them.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

import redis
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.conf import settings
from django.test import override_settings

from jobs import events
from jobs.job import Job
from jobs.push import frames
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
            "group_send": _group_send,
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


def _publish(calls: int) -> float:
    client = redis.Redis.from_url(settings.REDIS_URL)
    payload = frames.frame(events.READY, running_job())
    return _per_call(lambda: client.publish(CHANNEL, payload), calls)


def _group_send(calls: int) -> float:
    """Measure what the tutorials' workers do: a loop and a connection for each message."""
    message = {"type": "job.ready", "job": frames.job_object(running_job())}
    send = async_to_sync(get_channel_layer().group_send)
    return _per_call(lambda: send("job_1", message), calls)


def _complete(calls: int, **jobs_settings: Any) -> float:
    with override_settings(JOBS={**settings.JOBS, **jobs_settings}):
        jobs = iter([running_job() for _ in range(calls + WARM_UP)])
        return _per_call(lambda: next(jobs).complete(), calls)


def _progress_sent(calls: int) -> float:
    with override_settings(JOBS={**settings.JOBS, "PROGRESS_PER_SECOND": UNTHROTTLED}):
        job = running_job()
        numbers = iter(range(calls + WARM_UP))
        return _per_call(
            lambda: job.set_progress(next(numbers), calls + WARM_UP, "A name passes by"), calls
        )


def _progress_throttled(calls: int) -> float:
    """Measure throttled calls: the first is sent, the second starts the timer for the last one."""
    job = running_job()
    numbers = iter(range(calls + WARM_UP))
    try:
        return _per_call(
            lambda: job.set_progress(next(numbers), calls + WARM_UP, "A name passes by"), calls
        )
    finally:
        job.complete()


def _per_call(call: Callable[[], object], calls: int) -> float:
    for _ in range(WARM_UP):
        call()
    start = time.perf_counter_ns()
    for _ in range(calls):
        call()
    return (time.perf_counter_ns() - start) / calls / 1000


def running_job() -> Job:
    """Return a job that has an owner and runs."""
    job = JobRepository().create(owner="user:1")
    job.start()
    return job
