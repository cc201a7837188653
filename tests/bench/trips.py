"""How often the verbs go to Redis, and how many connections they open."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import redis
from django.conf import settings
from django.contrib.messages.storage import default_storage
from django.test import RequestFactory
from redis.connection import AbstractConnection

from jobs.claim import claim
from jobs.repository import JobRepository

from .costs import running_job


class Trips:
    """Counts in this process; the method is called from the bench."""

    def count_trips(self, calls: int) -> dict[str, float]:
        """Return the round trips of one `complete()`, of a whole life, and the connections opened by `complete()`."""
        jobs = [running_job() for _ in range(calls)]
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
