"""Whole lives: `start_job`, a Celery worker, the page's socket, and the post that runs `on_ready`.

The view's part and the page's part run in turn in this process, in synchronous code, at full
speed.
"""

import json
import secrets
import time
from http.client import HTTPConnection
from statistics import median
from typing import Any

import redis
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest
from websockets.sync.client import connect

from jobs import events
from jobs.access import ticket
from jobs.core import topics
from jobs.job import Job

from .tasks import nothing, nothing_to_wait_for

HOST = "127.0.0.1"
PATIENCE = 20.0  # seconds
STEPS = ("start", "ready", "claim")
WARM_UP = 3  # lives, in which the worker's processes and this one open their connections


class Lives:
    """Leads jobs through their lives; the method is called from the bench."""

    def lead_lives(self, port: int, count: int) -> dict[str, Any]:
        """Return the milliseconds of each life and of each bare task, and the store's part.

        `round_trips` is what the store's Redis has read from all its clients, for one life. It
        includes the heartbeats of idle clients.
        """
        page = Page(port)
        for _ in range(WARM_UP):
            page.lead_life()
            bare_task()
        client = redis.Redis.from_url(settings.REDIS_URL)
        reads = _reads(client)
        spans = [page.lead_life() for _ in range(count)]
        reads = _reads(client) - reads - 1  # the asking itself
        return {
            "life_ms": [span[-1] for span in spans],
            "steps_ms": {name: median(span[n] for span in spans) for n, name in enumerate(STEPS)},
            "task_ms": [bare_task() for _ in range(count)],
            "round_trips": reads / count,
        }


class Page:
    """A visitor with a session, who submits and waits."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._session = SessionStore()
        self._session.create()
        self._token = secrets.token_hex(16)
        self._connection = HTTPConnection(HOST, port, timeout=PATIENCE)

    def lead_life(self) -> tuple[float, float, float, float]:
        """Submit, wait, call back; returns the milliseconds of each and of all."""
        moments = [time.monotonic_ns()]
        request = HttpRequest()
        request.session = self._session
        job = nothing_to_wait_for.start_job(request)
        self._session.save()  # as the middleware does before the response
        moments.append(time.monotonic_ns())
        self._await_ready(job)
        moments.append(time.monotonic_ns())
        self._call_back(job)
        moments.append(time.monotonic_ns())
        start, ready, claim = ((b - a) / 1e6 for a, b in zip(moments, moments[1:], strict=False))
        return start, ready, claim, (moments[-1] - moments[0]) / 1e6

    def _await_ready(self, job: Job) -> None:
        origin = f"http://{HOST}:{self._port}"
        with connect(
            f"ws://{HOST}:{self._port}/ws/jobs/", origin=origin, compression=None
        ) as socket:
            topic = topics.job_topic(job.id)
            socket.send(
                json.dumps({"action": "subscribe", "job": job.id, "ticket": ticket(topic)})
            )
            while json.loads(socket.recv(PATIENCE))["event"] != events.READY:
                pass

    def _call_back(self, job: Job) -> None:
        cookies = (
            f"{settings.SESSION_COOKIE_NAME}={self._session.session_key}; "
            f"{settings.CSRF_COOKIE_NAME}={self._token}"
        )
        headers = {
            "Cookie": cookies,
            "X-CSRFToken": self._token,
            "Accept": "application/json",
            "Content-Length": "0",
        }
        self._connection.request("POST", f"{job.get_absolute_url()}ready/", headers=headers)
        response = self._connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise RuntimeError(f"the call back was answered {response.status}: {answer[:200]!r}")


def bare_task() -> float:
    """Run a plain task through the same worker, and wait as Celery does; returns milliseconds."""
    start = time.monotonic_ns()
    nothing.delay().get(timeout=PATIENCE)
    return (time.monotonic_ns() - start) / 1e6


def _reads(client: "redis.Redis") -> int:
    return client.info("stats")["total_reads_processed"]
