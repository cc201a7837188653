"""A Redis with a replica and three sentinels, on loopback ports and in a folder of their own."""

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import redis

from project.demo.embedded import HOST, EmbeddedServer, find_binary, free_port, ping
from project.demo.processes import Child

from .waiting import until

START_TIMEOUT = 20  # seconds
# a replica need not wait 5 s for others that want a copy too
COPY_AT_ONCE = ("--repl-diskless-sync-delay", "0")
DOWN_AFTER = 500  # milliseconds without an answer until a sentinel takes its master for dead


class Sentinels:
    """A Redis, a replica and three sentinels that watch both as the service `main`.

    All are the embedded server's binary. Used by `with`; what is killed is not started again.
    """

    service = "main"

    def __init__(self) -> None:
        self.servers = [EmbeddedServer(*COPY_AT_ONCE), EmbeddedServer(*COPY_AT_ONCE)]
        self.ports: list[int] = []
        self._exits = ExitStack()

    def __enter__(self) -> Self:
        with self._exits:
            for server in self.servers:
                self._exits.enter_context(server)
            with self.client(1) as replica:
                replica.replicaof(HOST, self.servers[0].port)
                until(
                    lambda: replica.info("replication")["master_link_status"] == "up",
                    START_TIMEOUT,
                )
            folder = Path(self._exits.enter_context(TemporaryDirectory(prefix="sentinels-")))
            for number in range(3):
                self._exits.callback(self._start(folder / f"{number}.conf").stop, 0)
            self._await_agreement()
            self._exits = self._exits.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._exits.close()

    @property
    def url(self) -> str:
        """Return what JOBS["REDIS_URL"] says."""
        addresses = ",".join(f"{HOST}:{port}" for port in self.ports)
        return f"redis+sentinel://{addresses}/{self.service}/0"

    @property
    def broker_url(self) -> str:
        """Return what Celery's broker is called; its transport options name the service."""
        return ";".join(f"sentinel://{HOST}:{port}/1" for port in self.ports)

    @property
    def layer_host(self) -> dict:
        """Return the host of a channel layer."""
        return {"sentinels": [(HOST, port) for port in self.ports], "master_name": self.service}

    def client(self, number: int) -> redis.Redis:
        """Return a client of the first or the second server, to be used by `with`."""
        return redis.Redis(port=self.servers[number].port)

    def ask(self, *words: str) -> list:
        """Ask the first sentinel about the service."""
        with redis.Redis(port=self.ports[0], decode_responses=True) as sentinel:
            return sentinel.execute_command("SENTINEL", *words, self.service)

    @property
    def master(self) -> EmbeddedServer:
        """Return the server that is the master, as the first sentinel sees it."""
        port = int(self.ask("GET-MASTER-ADDR-BY-NAME")[1])
        return next(server for server in self.servers if server.port == port)

    def _start(self, file: Path) -> Child:
        port = free_port()
        file.write_text(
            f"port {port}\nbind {HOST}\ndir {file.parent}\n"
            f"sentinel monitor {self.service} {HOST} {self.servers[0].port} 2\n"
            f"sentinel down-after-milliseconds {self.service} {DOWN_AFTER}\n"
            f"sentinel failover-timeout {self.service} 5000\n"
        )
        child = Child("sentinel", [find_binary(), str(file), "--sentinel"])
        child.await_line(r"\+monitor master", START_TIMEOUT)
        ping(port)
        self.ports.append(port)
        return child

    def _await_agreement(self) -> None:
        """Wait until each sentinel knows the others and the replica."""
        for port in self.ports:
            with redis.Redis(port=port) as sentinel:
                until(
                    lambda ask=sentinel.sentinel_masters: _is_complete(ask()[self.service]),
                    START_TIMEOUT,
                )


def _is_complete(seen: dict) -> bool:
    return (seen["num-other-sentinels"], seen["num-slaves"]) == (2, 1)
