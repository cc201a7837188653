"""The processes of a chaos: a server, two workers, one Redis or two, SQLite or PostgreSQL."""

import json
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg

from project.demo.embedded import free_port
from project.demo.processes import Child
from tests.processes import children
from tests.system.harness.fault_stack import FaultStack
from tests.system.harness.postgres import PostgreSQL

WORKERS = ("worker 1", "worker 2")
HEARTBEAT = 0.5  # seconds
LOST_AFTER = 4.0
START_TIMEOUT = 8.0
LIMITS = {
    "HEARTBEAT": HEARTBEAT,
    "LOST_AFTER": LOST_AFTER,
    "START_TIMEOUT": START_TIMEOUT,
    "RECONCILE_SECONDS": 1.0,
    "READY_LEASE": 2.0,
}


class ChaosStack(FaultStack):
    """Four seeds in a row are the four pairs of database and broker.

    Even seeds have SQLite, odd ones PostgreSQL; of four seeds the last two have a Redis of its own
    for the messages.
    """

    def __init__(self, seed: int):
        super().__init__(Path("/nowhere"))
        self.has_own_broker = seed % 4 > 1
        self.postgres: PostgreSQL | None = None
        self.workers: dict[str, Child] = {}
        if seed % 2:
            self.cluster = tempfile.TemporaryDirectory(prefix="chaos-")
            Path(self.cluster.name).chmod(0o755)
            self.postgres = PostgreSQL(Path(self.cluster.name) / "cluster", free_port())
        self.extra_env |= {
            "DJANGO_SETTINGS_MODULE": "tests.system.projects.chaosjobs.settings",
            "JOBS_SETTINGS": json.dumps(LIMITS),
        }

    def __str__(self) -> str:
        database = "PostgreSQL" if self.postgres else "SQLite"
        return f"{database}, {2 if self.has_own_broker else 1} Redis"

    @property
    def hooks(self) -> tuple[float, ...]:
        """Return how many seconds hooks take; on SQLite one that writes blocks all others."""
        return (0, 0, 0, 0.5, 3) if self.postgres else (0, 0, 0, 0.2)

    def start_redis(self) -> None:
        super().start_redis()
        if not self.has_own_broker:
            self.broker.stop()
            self.extra_env["CELERY_BROKER_URL"] = self.redis_url

    def prepare_database(self) -> None:
        if self.postgres:
            self.postgres.start()
            self.extra_env["DATABASE_URL"] = self.postgres.url
        super().prepare_database()

    @property
    def children(self) -> list[Child]:
        return [*self.workers.values(), *super().children]

    def start_worker(self) -> None:
        for name in WORKERS:
            self.revive_worker(name)

    def await_worker(self) -> None:
        for worker in self.workers.values():
            worker.await_line(r" ready\.$", 60)

    def revive_worker(self, name: str) -> bool:
        """Start a worker that does not run; say whether that was so."""
        if name in self.workers and not self.workers[name].has_ended:
            return False
        self.workers[name] = self.run_worker("celery", "--concurrency", "3")
        return True

    def revive_server(self) -> bool:
        """Start the server if it does not run; say whether that was so."""
        if self.server and not self.server.has_ended:
            return False
        self.start_server()
        return True

    def pids_of_worker(self, name: str) -> tuple[int, ...]:
        """Return the processes of a worker."""
        pid = self.workers[name].pid
        return (pid, *(process.pid for process in children(pid)))

    def stop(self) -> None:
        super().stop()
        self.workers.clear()
        if self.postgres:
            self.postgres.stop()
            self.cluster.cleanup()
            self.postgres = None

    @contextmanager
    def connection(self) -> Iterator:
        """Connect to the database, outside of any transaction."""
        if self.postgres:
            with psycopg.connect(self.postgres.url, autocommit=True) as connection:
                yield connection
            return
        with closing(sqlite3.connect(self.database, timeout=10)) as connection:
            connection.isolation_level = None
            yield connection

    def rows(self, query: str) -> list[tuple]:
        """Return what a query finds."""
        with self.connection() as connection:
            return connection.execute(query).fetchall()
