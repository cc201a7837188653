"""A waiting page without a browser: its socket, with the reconnect rule of connection.js."""

import asyncio
import json
import random
import time
from collections.abc import Iterable
from contextlib import asynccontextmanager, suppress
from datetime import datetime

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from .site import Site
from .tickets import ticket_for

# in seconds, as in connection.js
FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
STABLE_AFTER = 5.0  # a connection that lasted this long resets the delay
PING_AFTER = 20.0  # of silence
ANSWER_WITHIN = 10.0
REFUSED = (4400, 4404)  # close codes


class SocketPage:
    """Watches one job until it has ended, and reconnects when the connection is lost.

    `frames` are those that brought news, `said` is everything that came.
    """

    def __init__(
        self,
        base_url: str,
        job_id: str,
        ticket: str = "",
        session: str = "",
        impatient: float = 1.0,
    ):
        self.job_id = job_id
        self.ticket = ticket
        self.base_url = base_url
        path = "/ws/jobs/" if ticket else f"/ws/jobs/{job_id}/"
        self.address = base_url.replace("http", "ws", 1) + path
        self.headers = {"Cookie": f"sessionid={session}"} if session else {}
        self.impatient = impatient  # factor of the delays, for tests that are in a hurry
        self.frames: list[dict] = []
        self.said: list[dict] = []  # everything that came, in order
        self.connections = 0
        self.opened_at: list[float] = []  # by the monotonic clock, of each connection
        self.closed_at: list[float] = []
        self.close_code: int | None = None
        self.is_listening = asyncio.Event()
        self.is_ready = asyncio.Event()
        self.ready_at = 0.0
        self.delay = 0.0  # seconds from the job's end to its frame; both by this machine's clock
        self._tries = 0
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start to watch."""
        self._running = asyncio.create_task(self.run())

    def stop(self) -> None:
        """Stop to watch; may be called twice."""
        if self._running:
            self._running.cancel()

    @property
    def events(self) -> list[str]:
        return [frame["event"] for frame in self.frames]

    @property
    def version(self) -> int:
        return self.frames[-1]["job"]["version"] if self.frames else 0

    async def run(self) -> None:
        """Reconnect until the job has ended or the server refuses it."""
        while not self.is_ready.is_set() and self.close_code not in REFUSED:
            opened_at = time.monotonic()
            with suppress(OSError, WebSocketException, TimeoutError):
                await self._listen()
            self.is_listening.clear()
            if time.monotonic() - opened_at > STABLE_AFTER:
                self._tries = 0
            delay = min(LONGEST_DELAY, FIRST_DELAY * 2**self._tries) * random.uniform(0.5, 1)  # noqa: S311 - jitter
            self._tries += 1
            if not self.is_ready.is_set():
                await asyncio.sleep(delay * self.impatient)

    async def _listen(self) -> None:
        options = {
            "origin": self.base_url,
            "additional_headers": self.headers,
            "proxy": None,
            "ping_interval": None,
        }
        async with connect(
            self.address, open_timeout=ANSWER_WITHIN, close_timeout=1, **options
        ) as socket:
            self.connections += 1
            self.opened_at.append(time.monotonic())
            if self.ticket:
                await socket.send(
                    json.dumps({"action": "subscribe", "job": self.job_id, "ticket": self.ticket})
                )
            try:
                while not self.is_ready.is_set():
                    self._take(json.loads(await self._hear(socket)))
            finally:
                self.close_code = socket.close_code
                self.closed_at.append(time.monotonic())

    async def _hear(self, socket) -> str:
        """Wait for a frame, by `timeout`: Python 3.11's `wait_for` may swallow a cancel."""
        try:
            async with asyncio.timeout(PING_AFTER):
                return await socket.recv()
        except TimeoutError:
            await socket.send('{"action": "ping"}')
            async with asyncio.timeout(ANSWER_WITHIN):
                return await socket.recv()

    def _take(self, frame: dict) -> None:
        self.said.append(frame)
        if frame["event"] == "subscribed":
            self.is_listening.set()
        if "job" not in frame or isinstance(frame["job"], str):
            return
        is_end = frame["job"]["ended_at"] is not None
        if frame["job"]["version"] > self.version or (is_end and not self.is_ready.is_set()):
            self.frames.append(frame)
        if is_end and not self.is_ready.is_set():
            self.ready_at = time.monotonic()
            self.delay = time.time() - datetime.fromisoformat(frame["job"]["ended_at"]).timestamp()
            self.is_ready.set()


@asynccontextmanager
async def listening(pages: Iterable[SocketPage], seconds: float = 60):
    """Open the pages, and wait until each has received `subscribed`."""
    pages = list(pages)
    for page in pages:
        page.start()
    try:
        async with asyncio.timeout(seconds):
            await asyncio.gather(*(page.is_listening.wait() for page in pages))
        yield pages
    finally:
        for page in pages:
            page.stop()
        await asyncio.gather(*(page._running for page in pages), return_exceptions=True)


def page_of(site: Site, job_id: str, **options) -> SocketPage:
    """Return a page that will watch a job of the site with a ticket; it is not open yet."""
    return SocketPage(site.base_url, job_id, ticket_for(job_id), **options)


async def lost(pages: Iterable[SocketPage], seconds: float) -> list[str]:
    """Wait until all pages know of their job's end; return the jobs of the late ones."""
    pages = list(pages)
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.gather(*(page.is_ready.wait() for page in pages))
    return [page.job_id for page in pages if not page.is_ready.is_set()]
