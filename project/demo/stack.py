"""The processes of the project on this machine: Redis, the database, a worker and daphne."""

import fcntl
import os
import queue
import secrets
import socket
import sys
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
import redis

from .embedded import EmbeddedServer
from .processes import Child, ProcessError, manage

COMMAND_TIMEOUT = 120  # seconds for the migrations or the sample data on a slow disk
READY_TIMEOUT = 60  # seconds for the worker or the server to start on a busy machine
WORKER_OPTIONS = [
    "--concurrency",
    "2",
    "--loglevel",
    "INFO",
    "--without-mingle",
    "--without-gossip",
]
BACKLOG = 1024  # connections that wait for the server
EVERYWHERE = "0.0.0.0"  # noqa: S104 - an address to listen on, not to reach anybody by  # nosec B104


class Stack:
    """Everything that the project needs to run. `start` and `stop` may both be called twice.

    Without a `redis_url` it starts a Redis of its own. Port 0 is any free port.
    A child that ends is put into `exits`.
    """

    application = "project.asgi:application"
    grace = 5.0  # seconds for the worker to finish its tasks

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        redis_url: str | None = None,
        env: dict[str, str] | None = None,
        on_line: Callable[[Child, str], object] = lambda child, line: None,
    ):
        self.host = host
        self.port = port
        self.exits: queue.SimpleQueue[Child] = queue.SimpleQueue()
        self.redis = None if redis_url else EmbeddedServer(on_exit=self.exits.put)
        self.server_options: list[str] = []  # added to daphne's own
        self.worker_options: list[str] = []  # added to the worker's own
        self.redis_url = redis_url
        self.extra_env = env or {}
        self.on_line = on_line
        self.listener: socket.socket | None = None
        self.worker: Child | None = None
        self.server: Child | None = None

    def __enter__(self) -> "Stack":
        self.start()
        return self

    def __exit__(self, *exception) -> None:
        self.stop()

    @property
    def env(self) -> dict[str, str]:
        """Return the environment of all its processes."""
        output = {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}  # as a Child reads it
        return {**os.environ, **output, **self.extra_env, "REDIS_URL": self.redis_url}

    @property
    def base_url(self) -> str:
        return f"http://{'127.0.0.1' if self.host == EVERYWHERE else self.host}:{self.port}"

    @property
    def children(self) -> list[Child]:
        """Return the children that should be running, in the order in which they are stopped."""
        return [
            child for child in (self.server, self.worker, self.redis and self.redis.child) if child
        ]

    def start(self) -> None:
        """Start everything, and return when pages are served and the worker takes jobs."""
        try:
            self.listen()
            self.start_redis()
            self.prepare_database()
            self.start_worker()
            self.start_server()
            self.await_worker()
            self.await_server()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop what runs."""
        for child in self.children:
            child.stop(self.grace)
        self.server = self.worker = None
        if self.redis:
            self.redis.stop()
        if self.listener:
            self.listener.close()
            self.listener = None

    def kill(self) -> None:
        """Kill everything at once. After that, `stop` has nothing to wait for."""
        for child in self.children:
            child.kill()

    def listen(self) -> None:
        """Listen before anything else starts. Early clients wait until the server answers."""
        if self.listener or self.server:
            return
        try:
            address = socket.getaddrinfo(self.host, self.port, socket.AF_INET, socket.SOCK_STREAM)[
                0
            ][4]
            self.listener = socket.create_server(address, backlog=BACKLOG)
        except OSError as error:
            reason = os.strerror(error.errno) if (error.errno or 0) > 0 else error.strerror
            raise ProcessError(
                f"Cannot serve on {self.host} port {self.port}: {reason}."
            ) from error
        self.port = self.listener.getsockname()[1]

    def start_redis(self) -> None:
        """Start the Redis of our own, or make sure that the given one answers."""
        if self.redis:
            self.redis.start()
            self.redis_url = self.redis.url
        else:
            check_redis(self.redis_url)

    def prepare_database(self) -> None:
        """Migrate the database and make the sample schools."""
        self.run("sample_data", "--migrate")

    def run(self, *arguments: str) -> list[str]:
        """Run a management command to its end and return what it printed."""
        child = Child(f"manage.py {arguments[0]}", manage(*arguments), self.env)
        try:
            child.await_success(COMMAND_TIMEOUT)
        finally:
            child.stop()
        return list(child.lines)

    def start_worker(self) -> None:
        """Start a worker under a name that no other worker on this Redis has."""
        if self.worker and not self.worker.has_ended:
            return
        command = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "project",
            "--quiet",
            "worker",
            *WORKER_OPTIONS,
            *self.worker_options,
        ]
        command += ["--hostname", f"demo-{secrets.token_hex(4)}@%h"]
        self.worker = Child("worker", command, self.env, self.on_line, self.exits.put)

    def await_worker(self) -> None:
        """Wait until the worker takes jobs."""
        self.worker.await_line(r" ready\.$", READY_TIMEOUT)

    def start_server(self) -> None:
        """Start daphne on our port."""
        if self.server and not self.server.has_ended:
            return
        self.server = None
        self.listen()
        number = fcntl.fcntl(self.listener, fcntl.F_DUPFD_CLOEXEC, 10)
        try:
            command = [sys.executable, "-m", "daphne", *self.server_options, "--fd", str(number)]
            command += [self.application]
            self.server = Child(
                "server", command, self.env, self.on_line, self.exits.put, keep_open=(number,)
            )
        finally:
            os.close(number)
            self.listener.close()  # now only the server has it, so its end closes the port
            self.listener = None

    def await_server(self) -> None:
        """Wait until daphne answers a page."""
        try:
            answer = httpx.get(
                self.base_url, timeout=READY_TIMEOUT, trust_env=False, follow_redirects=True
            )
        except httpx.TransportError as error:
            reason = (
                self.server.obituary
                if self.server.await_exit(1)
                else f"no answer at {self.base_url}: {error}"
            )
            raise ProcessError(reason) from error
        if answer.status_code >= 400:
            raise ProcessError(
                f"server answers {self.base_url} with {answer.status_code}: "
                f"{self.server.last_words}"
            )


def check_redis(url: str) -> None:
    """Make sure that a Redis answers at this address."""
    try:
        with redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5) as client:
            client.ping()
    except ValueError as error:  # its text repeats a part of the address, maybe of the password
        raise ProcessError(
            "REDIS_URL is malformed; give it like redis://:password@host:6379/0."
        ) from error
    except redis.RedisError as error:
        raise ProcessError(
            f"Redis does not answer at REDIS_URL={without_password(url)}: {error}"
        ) from error


def without_password(url: str) -> str:
    """Return the address without its password, which may also stand behind the "?"."""
    address = url.partition("?")[0]
    password = urlsplit(address).password
    return address.replace(f":{password}@", ":***@") if password else address
