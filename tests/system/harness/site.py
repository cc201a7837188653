"""A stack for tests of faults: limits shortened by settings, a proxy between the web server and Redis if asked for."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import redis
from django.core import signing

from jobs.access import ticket
from jobs.core.topics import job_topic
from project.demo.processes import Child

from .hands import Hands
from .proxy import Packets, Proxy
from .stack import LiveStack

TICK = os.sysconf("SC_CLK_TCK")


class Site(LiveStack):
    """Redis, daphne and a pair of hands; a worker only if asked for.

    `jobs` are further keys of the JOBS setting. With `proxied`, daphne reaches Redis only through `self.proxy`, a
    `Proxy` or another `cable`.
    """

    def __init__(
        self,
        prepared: Path,
        worker: bool = False,
        proxied: bool = False,
        cable: type[Proxy | Packets] = Proxy,
        env: Any = None,
        **jobs: Any,
    ):
        super().__init__(prepared)
        self.has_worker = worker
        self.proxy: Any = None
        self.is_proxied = proxied
        self.cable = cable
        self.redis.arguments += cable.redis_options
        self.extra_env |= {
            "DJANGO_SETTINGS_MODULE": "tests.system.countjobs.settings",
            "JOBS_SETTINGS": json.dumps(jobs),
            **(env or {}),
        }
        self._hands: Hands | None = None

    @property
    def hands(self) -> Hands:
        """Return the process that makes and ends jobs; it talks to Redis itself."""
        if self._hands is None:
            self._hands = Hands(self.env)
        return self._hands

    @property
    def client(self) -> redis.Redis:
        """Return a client of its Redis."""
        return redis.Redis.from_url(self.redis.url)

    def start_redis(self) -> None:
        """Start Redis, and the proxy before it."""
        super().start_redis()
        if self.is_proxied and self.proxy is None:
            self.proxy = self.cable(self.redis.port)
            self.proxy.start()

    def prepare_database(self) -> None:
        """Prepare it at full speed."""
        slow = self.extra_env.pop("SLOW_DATABASE", "0")
        super().prepare_database()
        self.extra_env["SLOW_DATABASE"] = slow

    def start_worker(self) -> None:
        """Start a worker if this site has one."""
        if self.has_worker:
            super().start_worker()

    def await_worker(self) -> None:
        """Wait for it."""
        if self.has_worker:
            super().await_worker()

    def start_server(self) -> None:
        """Start daphne, on the far side of the proxy."""
        with self.through_the_proxy():
            super().start_server()

    def stop(self) -> None:
        """Stop all of it."""
        if self._hands:
            self._hands.close()
            self._hands = None
        super().stop()
        if self.proxy:
            self.proxy.stop()
            self.proxy = None

    @contextmanager
    def through_the_proxy(self) -> Iterator[None]:
        """Have what is started inside the block reach Redis only through the proxy."""
        direct = self.redis_url
        if self.proxy:
            self.redis_url = f"redis://{self.proxy.host}:{self.proxy.port}/0"
            self.extra_env["CELERY_BROKER_URL"] = direct
        try:
            yield
        finally:
            self.redis_url = direct


def ticket_for(job_id: str) -> str:
    """Return a ticket; every process here has the same key."""
    return ticket(job_topic(job_id))


def forged_ticket(job_id: str) -> str:
    """Return one that is signed with another key."""
    return signing.dumps(job_topic(job_id), key="another", salt="jobs.ticket")


def cpu_seconds(child: Child) -> float:
    """Return the processor time that a child has used so far."""
    fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def threads(child: Child) -> int:
    """Return how many threads a child has."""
    return len(list(Path(f"/proc/{child.pid}/task").iterdir()))


def memory(child: Child) -> int:
    """Return how many bytes a child holds in memory."""
    return int(Path(f"/proc/{child.pid}/statm").read_text().split()[1]) * os.sysconf(
        "SC_PAGE_SIZE"
    )


@contextmanager
def in_thread(action, *args) -> Iterator[threading.Thread]:
    """Do something while the block goes on, and wait for its end."""
    thread = threading.Thread(target=action, args=args)
    thread.start()
    try:
        yield thread
    finally:
        thread.join()


def claim(browser: httpx.Client, job_id: str) -> httpx.Response:
    """Call back as the page does; return the answer."""
    browser.get(f"/jobs/{job_id}/", headers={"Accept": "text/html"})
    return browser.post(
        f"/jobs/{job_id}/ready/", headers={"X-CSRFToken": browser.cookies["csrftoken"]}
    )


def hash_of(site: Site, job_id: str) -> dict:
    """Return what Redis holds of a job."""
    return site.client.hgetall(f"jobs:{{{job_id}}}")
