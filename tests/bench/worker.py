"""The worker: starts and ends jobs in ordinary synchronous code, and notes when it began to."""

import os
import time
from collections.abc import Callable
from typing import Any

import django
import redis
from asgiref.sync import async_to_sync
from celery import current_app
from channels.layers import get_channel_layer

from .bare import CHANNEL
from .remote import serve

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.bench.settings")
django.setup()  # fills the app registry, which the next imports need

from django.conf import settings  # noqa: E402
from django.contrib.auth import get_user_model  # noqa: E402
from django.test import Client  # noqa: E402

from jobs import events  # noqa: E402
from jobs.access import ticket  # noqa: E402
from jobs.core import topics  # noqa: E402
from jobs.job import Job  # noqa: E402
from jobs.push import frames  # noqa: E402
from jobs.repository import JobRepository  # noqa: E402

from .costs import Costs  # noqa: E402
from .life import Lives  # noqa: E402
from .stock import Stock  # noqa: E402
from .trips import Trips  # noqa: E402

USERS = 20  # share the jobs among them, each with a session


class Worker(Costs, Lives, Stock, Trips):
    """Holds the jobs, as worker processes do, and ends them as each subject's worker does."""

    def __init__(self) -> None:
        self._redis = redis.Redis.from_url(settings.REDIS_URL)
        self._owners = [_visitor(f"bench-{n}") for n in range(USERS)]
        self._jobs: dict[str, Job] = {}
        self._frame = ""
        self._job_object: dict[str, Any] = {}

    def start_jobs(self, count: int) -> list[tuple[str, str, str]]:
        """Create and start jobs; returns the id, the owner's cookie and a ticket of each."""
        started = []
        for n in range(count):
            user, cookie = self._owners[n % USERS]
            job = JobRepository().create(owner=user)
            job.start()
            self._jobs[job.id] = job
            started.append((job.id, cookie, ticket(topics.job_topic(job.id))))
        self._frame = frames.frame(
            events.READY, job
        )  # what is pushed is the same for all subjects, and as long
        self._job_object = frames.job_object(job)
        return started

    def end_jobs(
        self, verb: str, job_ids: list[str], per_second: float
    ) -> dict[str, tuple[int, int]]:
        """End the jobs one by one; returns the nanoseconds before and after each call."""
        end: Callable[[str], None] = getattr(self, f"_{verb}")
        spans = {}
        start = time.monotonic()
        for n, job_id in enumerate(job_ids):
            time.sleep(max(0.0, start + n / per_second - time.monotonic()))
            before = time.monotonic_ns()
            end(job_id)
            spans[job_id] = before, time.monotonic_ns()
        return spans

    def forget_jobs(self, job_ids: list[str]) -> None:
        """Forget jobs whose pages have been closed."""
        for job_id in job_ids:
            self._jobs.pop(job_id, None)

    def versions(self, job_ids: list[str]) -> dict[str, int]:
        """Return the version of each of these jobs, which is when Redis wrote it."""
        return {job_id: self._jobs[job_id].version for job_id in job_ids}

    def _complete(self, job_id: str) -> None:
        self._jobs[job_id].complete()

    def _publish(self, job_id: str) -> None:
        self._redis.publish(CHANNEL, f"{job_id} {self._frame}")

    def _store_result(self, job_id: str) -> None:
        current_app.backend.store_result(
            job_id, None, "SUCCESS"
        )  # what a worker does when a task returns

    def _group_send_pubsub(self, job_id: str) -> None:
        self._group_send("default", job_id)

    def _group_send_core(self, job_id: str) -> None:
        self._group_send("core", job_id)

    def _group_send(self, layer: str, job_id: str) -> None:
        message = {"type": "job.ready", "job": self._job_object}
        async_to_sync(get_channel_layer(layer).group_send)(f"job_{job_id}", message)


def _visitor(name: str) -> tuple[Any, str]:
    user = get_user_model().objects.create_user(name)
    client = Client()
    client.force_login(user)
    return (
        user,
        f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}",
    )


if __name__ == "__main__":
    serve(Worker())
