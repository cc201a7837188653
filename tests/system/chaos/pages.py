"""A waiting page: follows its job by a socket or by polling, and posts, as the script does."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from itertools import count
from random import Random
from typing import TYPE_CHECKING

import httpx
from websockets.exceptions import WebSocketException

from tests.system.harness.person import ENDED, JSON

if TYPE_CHECKING:
    from .people import Person

REFUSED = (WebSocketException, OSError, TimeoutError)
GONE = 4404  # the close code of a socket whose job there is not


class Page:
    """A waiting page: hears a job by a socket, or by polling while it has none, and posts."""

    def __init__(self, person: Person, job: str, name: str):
        self.person = person
        self.job = job
        self.name = name
        self.history = person.history
        self.random = Random(f"{person.random.random()}")  # noqa: S311 - not a secret
        self.state, self.version = "", 0
        self.place = ""
        self.has_news = asyncio.Event()
        self.sockets = count(1)
        self.only_polls = self.random.random() < 0.2

    async def live(self) -> None:
        """Wait for the job until there is a place to go to."""
        others = [asyncio.create_task(self.listen())]
        if self.random.random() < 0.15:
            others.append(asyncio.create_task(self.cancel()))
        try:
            while not self.place:
                await self.until_ended()
                await self.go_on()
            if self.random.random() < 0.3:  # goes back, and presses the button again
                await asyncio.sleep(self.random.uniform(0.5, 3))
                await self.post()
        except asyncio.CancelledError:
            if not self.place:
                self.add("left", state=self.state, version=self.version)
            raise
        finally:
            for other in others:
                other.cancel()
            await asyncio.gather(*others, return_exceptions=True)

    async def until_ended(self) -> None:
        """Wait until the page shows an end; a person takes their time with a bad one."""
        while self.state != "complete":
            has_ended = self.state in ENDED
            if not await self.has_more(self.random.choice((0, 0.5, 2, 4)) if has_ended else None):
                return

    async def has_more(self, seconds: float | None = None) -> bool:
        """Wait until the page shows something else; say whether it did in time."""
        self.has_news.clear()
        with suppress(TimeoutError):
            return await asyncio.wait_for(self.has_news.wait(), seconds)
        return False

    async def go_on(self) -> None:
        """Post, twice at once now and then; wait a moment if there is no answer to go by."""
        await asyncio.gather(*(self.post() for _post in range(self.random.choice((1, 1, 2)))))
        if not self.place and self.state in ENDED:
            await asyncio.sleep(self.random.uniform(0.3, 1))

    async def post(self) -> None:
        """Call back as the page does."""
        began = time.time()
        answer = await self.person.post(self.job, "ready")
        status, url, body = read(answer)
        ends = {"at": began, "until": time.time(), "status": status, "url": url}
        self.add("posted", state=self.state, version=self.version, **ends)
        self.place = self.place or url
        if status == 409:  # not ended any more; what the server says now is what counts
            self.state, self.version = "", 0
            self.hear(body)

    async def cancel(self) -> None:
        """Press the other button at some time."""
        await asyncio.sleep(self.random.uniform(0, 3))
        status, _url, _body = read(await self.person.post(self.job, "cancel"))
        self.add("cancelled", status=status)

    async def listen(self) -> None:
        """Hear the job by one socket after another, and look at it whenever there is none."""
        while True:
            with suppress(*REFUSED):
                if not self.only_polls:
                    await self.listen_by_socket()
            await self.look()
            await asyncio.sleep(self.random.uniform(0.3, 1.5))

    async def listen_by_socket(self) -> None:
        """Listen until the socket ends."""
        number = next(self.sockets)
        async with self.person.socket(f"/ws/jobs/{self.job}/") as socket:
            try:
                async for text in socket:
                    frame = json.loads(text)
                    if frame.get("code") == "not_found":  # then the page asks again a little later
                        self.add("looked", socket=number, status=404)
                        return
                    self.hear(frame, number)
            finally:
                if socket.close_code == GONE:
                    self.add("looked", socket=number, status=404)

    async def look(self) -> None:
        """Read the job once."""
        answer = await self.person.send("GET", f"/jobs/{self.job}/", headers=JSON)
        status, _url, body = read(answer)
        if status in (200, 202):
            self.hear(body)
        else:
            self.add("looked", status=status)

    def hear(self, frame: dict, socket: int = 0) -> None:
        """Write down what came, and show it unless something newer is shown."""
        job = frame.get("job")
        if not isinstance(job, dict) or "version" not in job:
            return
        self.add("heard", state=job["state"], version=job["version"], socket=socket)
        if job["version"] > self.version:
            self.state, self.version = job["state"], job["version"]
            self.has_news.set()

    def add(self, kind: str, **more) -> None:
        """Write down what happened to this page."""
        self.history.add(kind, job=self.job, who=self.name, **more)


def read(answer: httpx.Response | None) -> tuple[int, str, dict]:
    """Return the status of an answer, the place that it names, and all it says."""
    if answer is None:
        return 0, "", {}
    body = answer.json() if "json" in answer.headers.get("Content-Type", "") else {}
    return answer.status_code, body.get("url", ""), body
