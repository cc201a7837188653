"""Redis, a web server and a project shell, with limits that the test sets; for tests of faults."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import redis

from .project_shell import ProjectShell
from .proxy import Packets, Proxy
from .stack import LiveStack


class Site(LiveStack):
    """Redis, daphne and a project shell; a worker only if asked for.

    `jobs` are further keys of the JOBS setting. With `proxied`, daphne reaches Redis only through
    `self.proxy`, a `Proxy` or another `cable`.
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
            "DJANGO_SETTINGS_MODULE": "tests.system.projects.countjobs.settings",
            "JOBS_SETTINGS": json.dumps(jobs),
            **(env or {}),
        }
        self._shell: ProjectShell | None = None

    @property
    def shell(self) -> ProjectShell:
        """Return the process that makes and ends jobs; it reaches Redis without the proxy."""
        if self._shell is None:
            self._shell = ProjectShell(self.env)
        return self._shell

    @property
    def client(self) -> redis.Redis:
        """Return a client of its Redis."""
        return redis.Redis.from_url(self.redis.url)

    def start_redis(self) -> None:
        """Start Redis, and the proxy in front of it."""
        super().start_redis()
        if self.is_proxied and self.proxy is None:
            self.proxy = self.cable(self.redis.port)
            self.proxy.start()

    def prepare_database(self) -> None:
        """Prepare the database at full speed, even if the test wants a slow one."""
        slow = self.extra_env.pop("SLOW_DATABASE", "0")
        super().prepare_database()
        self.extra_env["SLOW_DATABASE"] = slow

    def start_worker(self) -> None:
        """Start a worker if this site has one."""
        if self.has_worker:
            super().start_worker()

    def await_worker(self) -> None:
        """Wait until the worker is ready if this site has one."""
        if self.has_worker:
            super().await_worker()

    def start_server(self) -> None:
        """Start daphne behind the proxy."""
        with self.through_the_proxy():
            super().start_server()

    def stop(self) -> None:
        """Stop all of it; may be called twice."""
        if self._shell:
            self._shell.close()
            self._shell = None
        super().stop()
        if self.proxy:
            self.proxy.stop()
            self.proxy = None

    @contextmanager
    def through_the_proxy(self) -> Iterator[None]:
        """Make what is started inside the block reach Redis only through the proxy."""
        direct = self.redis_url
        if self.proxy:
            self.redis_url = f"redis://{self.proxy.host}:{self.proxy.port}/0"
            self.extra_env["CELERY_BROKER_URL"] = direct
        try:
            yield
        finally:
            self.redis_url = direct


def claim(browser: httpx.Client, job_id: str) -> httpx.Response:
    """Post to the job's ready/ route as its page does, and return the answer."""
    browser.get(f"/jobs/{job_id}/", headers={"Accept": "text/html"})
    token = browser.cookies["csrftoken"]
    return browser.post(f"/jobs/{job_id}/ready/", headers={"X-CSRFToken": token})


def hash_of(site: Site, job_id: str) -> dict:
    """Return what Redis holds of a job."""
    return site.client.hgetall(f"jobs:{{{job_id}}}")
