"""The pages, in a process of their own: opens sockets, and notes when each hears `ready`."""

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from . import page, poller
from .page import Page
from .poller import Poller
from .remote import serve
from .subjects import Opening
from .usage import let_go_first

AT_ONCE = 25  # handshakes under way
TIMEOUT = 60.0  # seconds for all to open, or to close
READY = b'"ready"'  # stands within the first bytes of the frame that counts, with every subject


class Clients:
    """Opens pages, awaits frames, closes pages; in a loop on a thread of its own."""

    def __init__(self) -> None:
        let_go_first(0)
        self._loop = asyncio.new_event_loop()
        self._pages: dict[int, list[Page | Poller]] = defaultdict(list)  # of each server's port
        self._heard: dict[str, int] = {}
        self._wanted = 0
        self._enough = asyncio.Event()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def open(self, port: int, greetings: int, wanted: list[Opening]) -> float:
        """Open these pages; returns the seconds that it took."""
        start = time.monotonic()
        self._run(self._open_all(port, greetings, wanted))
        return time.monotonic() - start

    def expect(self, count: int) -> None:
        """Forget what was heard, and count the wanted frames from zero."""
        self._run(self._expect(count))

    def heard(self, seconds: float) -> dict[str, int]:
        """Wait for all wanted keys or until time is over; returns when each was heard, in ns."""
        self._run(self._await_enough(seconds))
        return dict(self._heard)

    def close(self, port: int) -> None:
        """Close all pages of a server, and wait until it has."""
        self._run(self._close_all(port))

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(2 * TIMEOUT)

    async def _open_all(self, port: int, greetings: int, wanted: list[Opening]) -> None:
        gate = asyncio.Semaphore(AT_ONCE)

        async def open_one(opening: Opening) -> Page | Poller:
            async with gate:
                _transport, opened = await self._loop.create_connection(
                    lambda: self._page(port, greetings, opening), "127.0.0.1", port
                )
                await opened.opened
                return opened

        async with asyncio.timeout(TIMEOUT):
            self._pages[port] += await asyncio.gather(*(open_one(opening) for opening in wanted))

    def _page(self, port: int, greetings: int, opening: Opening) -> Page | Poller:
        if opening.polls:
            request = poller.request(port, opening.path, opening.cookie)
            return Poller(request, lambda now: self._note(opening.key, now))
        request = page.request(port, opening.path, opening.cookie)
        return Page(request, opening.frame, greetings, self._listener(opening.key))

    def _listener(self, key: str) -> Callable[[Page, int, bytes], None]:
        def on_text(_page: Page, now: int, payload: bytes) -> None:
            if READY in payload[:40]:
                self._note(key, now)

        return on_text

    def _note(self, key: str, now: int) -> None:
        if key not in self._heard:
            self._heard[key] = now
            if len(self._heard) == self._wanted:
                self._enough.set()

    async def _expect(self, count: int) -> None:
        self._heard, self._wanted = {}, count
        self._enough.clear()

    async def _await_enough(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._enough.wait(), seconds)

    async def _close_all(self, port: int) -> None:
        pages = self._pages.pop(port, [])
        for opened in pages:
            opened.close()
        async with asyncio.timeout(TIMEOUT):
            await asyncio.gather(*(opened.closed for opened in pages))


if __name__ == "__main__":
    serve(Clients())
