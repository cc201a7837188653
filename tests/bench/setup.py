"""All that runs in a benchmark: two Redis, a database, a worker, pages, a server a subject."""

import os
import secrets
import tempfile
from contextlib import ExitStack
from pathlib import Path

import redis

from project.demo.embedded import EmbeddedServer
from project.demo.processes import Child, manage

from .remote import Remote
from .servers import Server
from .subjects import Subject
from .usage import let_go_first

MIGRATE_TIMEOUT = 60.0  # seconds


class Setup:
    """Starts everything for a `with` block, on its own ports and files, and stops it after."""

    def __init__(self, subjects: tuple[Subject, ...]) -> None:
        self._subjects = subjects

    def __enter__(self) -> "Setup":
        with ExitStack() as stack:
            embedded = stack.enter_context(EmbeddedServer())
            let_go_first(embedded.child.pid)
            broker = stack.enter_context(EmbeddedServer())
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
            env = self.env = _environment(embedded.url, broker.url, Path(directory) / "db.sqlite3")
            _migrate(env)
            self.redis = stack.enter_context(redis.Redis.from_url(embedded.url))
            self.servers: dict[Subject, Server] = {}
            for subject in self._subjects:
                self.servers[subject] = server = Server(subject.server, env)
                stack.callback(server.stop)
            self.worker = Remote("tests.bench.worker", env)
            stack.callback(self.worker.stop)
            self.clients = Remote("tests.bench.clients", env)
            stack.callback(self.clients.stop)
            for server in self.servers.values():
                server.await_start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()


def _environment(redis_url: str, broker_url: str, database: Path) -> dict[str, str]:
    return {
        **os.environ,
        "REDIS_URL": redis_url,
        "CELERY_BROKER_URL": broker_url,  # another Redis, so the store's commands can be counted
        "DATABASE_URL": f"sqlite:///{database}",
        "DEBUG": "0",  # as in production: Django remembers no queries
        "SECRET_KEY": secrets.token_hex(32),
        "ALLOWED_HOSTS": "127.0.0.1",
        "DJANGO_SETTINGS_MODULE": "tests.bench.settings",
        "PYTHONUNBUFFERED": "1",
    }


def _migrate(env: dict[str, str]) -> None:
    child = Child("migrate", manage("migrate", "--no-input", "--verbosity", "0"), env)
    try:
        child.await_success(MIGRATE_TIMEOUT)
    finally:
        child.stop()
