"""How often the verbs go to Redis, how many commands that is, how many connections they open."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import redis
from django.conf import settings
from django.contrib.messages.storage import default_storage
from django.http import HttpRequest
from django.test import RequestFactory, override_settings
from redis.asyncio.connection import AbstractConnection as AsyncConnection
from redis.connection import AbstractConnection

from jobs.job import Job
from jobs.repository import JobRepository
from jobs.testing import run_immediately
from jobs.waiting.claim import claim

from .costs import UNTHROTTLED, running_job
from .tasks import nothing_to_wait_for

VERBS: dict[str, Callable[[Job], object]] = {
    "complete": lambda job: job.complete(),
    "progress": lambda job: job.set_progress(1, 2, "A name passes by"),
}


class Trips:
    """Counts in this process; the method is called from the bench."""

    def count_trips(self, calls: int) -> dict[str, float]:
        """Return the trips, commands and new connections of each verb, and the trips of a life."""
        found: dict[str, float] = {}
        with override_settings(JOBS={**settings.JOBS, "PROGRESS_PER_SECOND": UNTHROTTLED}):
            for verb, call in VERBS.items():
                found |= count_verb(verb, call, calls)
        live(a_request())  # opens connections
        with counted_trips() as life:
            live(a_request())
        return found | {"round_trips_per_life": life.count}


def count_verb(verb: str, call: Callable[[Job], object], calls: int) -> dict[str, float]:
    """Return what one call costs. Redis counts the commands, those inside the script included."""
    jobs = [running_job() for _ in range(calls + 1)]
    call(jobs.pop())  # loads the script
    monitor = redis.Redis.from_url(settings.REDIS_URL)
    before = monitor.info("stats")
    with counted_trips() as trips:
        for job in jobs:
            call(job)
        sent = trips.count
    after = monitor.info("stats")
    monitor.close()
    commands = (
        after["total_commands_processed"] - before["total_commands_processed"] - 1
    )  # the asking itself
    opened = after["total_connections_received"] - before["total_connections_received"]
    return {
        f"round_trips_per_{verb}": sent / calls,
        f"commands_per_{verb}": commands / calls,
        f"connections_per_{verb}": opened / calls,
    }


class TripCount:
    """How many round trips there were; a pipeline is one."""

    def __init__(self, *calls: Any) -> None:
        self._calls = calls

    @property
    def count(self) -> int:
        return sum(call.call_count for call in self._calls)


@contextmanager
def counted_trips() -> Iterator[TripCount]:
    """Count what the clients in this process, synchronous and asynchronous, send to Redis."""
    with ExitStack() as stack:
        yield TripCount(
            *(
                stack.enter_context(_counted(kind))
                for kind in (AbstractConnection, AsyncConnection)
            )
        )


def _counted(connection: Any) -> Any:
    send = connection.send_packed_command
    return patch.object(connection, "send_packed_command", autospec=True, side_effect=send)


def live(request: HttpRequest) -> Job:
    """Lead one job from `start_job` to the end of `on_ready`, as view, worker and claim do."""
    with run_immediately():
        job = nothing_to_wait_for.start_job(request)
    claim(JobRepository().find(job.id), request)
    return job


def a_request() -> HttpRequest:
    """Return a visitor's request."""
    request = RequestFactory(SERVER_NAME=(settings.ALLOWED_HOSTS or ["localhost"])[0]).post("/")
    request.session = {}
    request._messages = default_storage(request)
    return request
