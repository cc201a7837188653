"""People who start jobs, each with a session of their own, and open waiting pages."""

import asyncio
import time
from contextlib import suppress
from itertools import count
from random import Random

import httpx
from websockets.asyncio.client import connect

from tests.system.harness.person import JSON

from .history import History
from .pages import Page, read

KINDS = ("quick", "slow", "silent", "failing", "retrying", "late")
WEIGHTS = (5, 4, 3, 2, 2, 3)
ANSWER_TIMEOUT = 30  # seconds for an answer, as the page has
SOCKET = {"open_timeout": 10, "close_timeout": 0.5, "ping_interval": 2, "ping_timeout": 5}


class Person:
    """A browser with a session, in which pages are opened in turn, and a few at once."""

    def __init__(
        self,
        name: str,
        base_url: str,
        history: History,
        random: Random,
        hooks: tuple[float, ...] = (0,),
    ):
        self.name = name
        self.history = history
        self.random = random
        self.base_url = base_url
        self.hooks = hooks  # seconds that they may take
        self.client = httpx.AsyncClient(base_url=base_url, timeout=ANSWER_TIMEOUT, trust_env=False)
        self.jobs: list[str] = []
        self.pages: list[asyncio.Task] = []
        self._numbers = count(1)

    async def arrive(self) -> None:
        """Get a session and a token before the chaos: keeping sessions is Django's task."""
        (await self.client.get("/accounts/login/")).raise_for_status()
        answer = await self.client.post("/chaos/quick/", json={"hook_seconds": 0})
        assert answer.status_code == 302, answer.text

    async def live(self, is_over: asyncio.Event) -> None:
        """Start jobs and wait for them, until it is over."""
        while not is_over.is_set():
            if job := await self.start():
                for _page in range(self.random.choice((1, 1, 2))):
                    page = Page(self, job, f"{self.name}, page {next(self._numbers)}")
                    self.pages.append(asyncio.create_task(page.live()))
            with suppress(TimeoutError):
                await asyncio.wait_for(is_over.wait(), self.random.uniform(0.3, 2.5))

    async def start(self) -> str:
        """Start a job by a view; return its id, or "" if there was no job."""
        kind = self.random.choices(KINDS, WEIGHTS)[0]
        seconds = {"quick": {}}.get(kind, {"seconds": round(self.random.uniform(0.1, 2.5), 1)})
        hook = {"hook_seconds": self.random.choice(self.hooks)}
        began = time.time()
        answer = await self.send("POST", f"/chaos/{kind}/", json=seconds | hook)
        if answer is None or answer.status_code != 302:
            self.history.add("looked", who=self.name, status=answer.status_code if answer else 0)
            return ""
        job = answer.headers["Location"].rstrip("/").rpartition("/")[2]
        self.jobs.append(job)
        self.history.add("started", began, until=time.time(), job=job, who=self.name, word=kind)
        return job

    async def look_at_all(self) -> None:
        """Read each job once more, as somebody does who comes back later."""
        for job in self.jobs:
            status, _url, body = read(await self.send("GET", f"/jobs/{job}/", headers=JSON))
            found = body.get("job") or {}
            more = {"state": found.get("state", ""), "version": found.get("version", 0)}
            self.history.add("found", job=job, who=self.name, status=status, **more)

    async def send(self, method: str, path: str, **options) -> httpx.Response | None:
        """Send a request; None if it is not answered."""
        try:
            return await self.client.request(method, path, **options)
        except httpx.TransportError:
            return None

    async def post(self, job: str, button: str) -> httpx.Response | None:
        """Press a button of the waiting page."""
        headers = JSON | {"X-CSRFToken": self.client.cookies["csrftoken"]}
        return await self.send("POST", f"/jobs/{job}/{button}/", headers=headers)

    def socket(self, path: str) -> connect:
        """Return a WebSocket of this session, to be used by `async with`."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.client.cookies.items())
        headers = {"Cookie": cookies}
        address = self.base_url.replace("http", "ws", 1) + path
        return connect(
            address, origin=self.base_url, additional_headers=headers, proxy=None, **SOCKET
        )
