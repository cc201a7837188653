"""The whole project as real processes; a test can log in, listen, pause and restart them."""

import os
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import httpx
from websockets.asyncio.client import connect

from project.demo.private import PrivateStack
from project.demo.processes import Child
from project.demo.visitor import Visitor
from tests.processes import children


class LiveStack(PrivateStack):
    """A private stack that copies a prepared database, and keeps what its processes print."""

    def __init__(self, prepared: Path, pace: float = 0.0):
        super().__init__(
            pace, on_line=lambda child, line: self.printed.append(f"{child.name:>6} | {line}")
        )
        self.prepared = prepared
        self.printed: list[str] = []
        self.visitors: list[Visitor] = []
        self.logged_in: dict[str, httpx.Client] = {}

    def prepare_database(self) -> None:
        """Copy the prepared database, or prepare it when this is the first stack."""
        if self.prepared.exists():
            shutil.copy(self.prepared, self.database)
            return
        super().prepare_database()
        with (
            closing(sqlite3.connect(self.database)) as source,
            closing(sqlite3.connect(self.prepared)) as target,
        ):
            source.backup(target)

    def stop(self) -> None:
        """Stop it, and log everybody out."""
        self.logged_in.clear()
        while self.visitors:
            self.visitors.pop().close()
        super().stop()

    def visitor(self, username: str | None = "ada") -> Visitor:
        """Return someone without scripts, logged in as one of the sample users, or not (None)."""
        self.visitors.append(Visitor(self.base_url))
        if username:
            self.visitors[-1].log_in(username)
        return self.visitors[-1]

    def logged_in_client(self, username: str = "ada") -> httpx.Client:
        """Return a logged-in user's HTTP client, the same each time: a password hash is slow."""
        if username not in self.logged_in:
            self.logged_in[username] = self.visitor(username).client
        return self.logged_in[username]

    def socket(self, client: httpx.Client, path: str, origin: str | None = None) -> connect:
        """Return a WebSocket for `async with`, with the client's cookies and our Origin."""
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        address = self.base_url.replace("http", "ws", 1) + path
        return connect(
            address,
            origin=origin or self.base_url,
            additional_headers={"Cookie": cookies},
            proxy=None,
        )

    def restart_server(self) -> None:
        """Kill the web server, and start it again on its port."""
        self.server.stop(grace=0)
        self.start_server()
        self.await_server()

    def restart_redis(self) -> None:
        """Kill Redis, and start it again on its port, empty."""
        self.redis.stop()
        self.redis.start()


@contextmanager
def paused(child: Child) -> Iterator[None]:
    """Freeze a child and its children inside the block."""
    pids = [child.pid, *(process.pid for process in children(child.pid))]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(
                ProcessLookupError
            ):  # somebody has killed it, and the others shall go on
                os.kill(pid, signal.SIGCONT)
