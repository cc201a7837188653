"""The project's processes with short limits, and as many workers as a test wants to hurt."""

import json
import re
import secrets
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import redis

from project.demo.embedded import EmbeddedServer
from project.demo.processes import Child
from project.demo.stack import COMMAND_TIMEOUT, READY_TIMEOUT
from tests.system.harness.stack import LiveStack

from .person import Person
from .waiting import until

LOST_AFTER = 3.0  # seconds; FAULTS.md calls it T
HEARTBEAT = 0.5
RECONCILE = 1.0
VISIBILITY_TIMEOUT = 2  # seconds; as in tests.system.projects.faultjobs.settings
LIMITS = {
    "LOST_AFTER": LOST_AFTER,
    "HEARTBEAT": HEARTBEAT,
    "RECONCILE_SECONDS": RECONCILE,
    "READY_LEASE": 2,
}


class FaultStack(LiveStack):
    """A Redis for jobs and one for messages, so that each can fail alone; database and server.

    Its own worker, if it has one, takes the queue `celery`, further ones take one of their own.
    """

    def __init__(self, prepared: Path, *broker_options: str, has_worker: bool = True):
        super().__init__(prepared)
        self.has_worker = has_worker
        self.broker = EmbeddedServer(*broker_options)
        self.extras: list[Child] = []
        self.people: list[Person] = []
        self.extra_env |= {
            "DJANGO_SETTINGS_MODULE": "tests.system.projects.faultjobs.settings",
            "JOBS_SETTINGS": json.dumps(LIMITS),
        }

    @property
    def folder(self) -> Path:
        """Return where its tasks leave notes and look for gates."""
        return Path(self.directory.name)

    def start(self) -> None:
        self.directory = self.directory or tempfile.TemporaryDirectory(prefix="faults-")
        self.extra_env["FAULTS_DIR"] = str(self.folder)
        super().start()

    @property
    def children(self) -> list[Child]:
        return [*self.extras, *super().children]

    def start_redis(self) -> None:
        super().start_redis()
        self.broker.start()
        self.extra_env["CELERY_BROKER_URL"] = self.broker.url

    def stop(self) -> None:
        while self.people:
            self.people.pop().close()
        super().stop()
        self.extras.clear()
        self.broker.stop()

    def prepare_database(self) -> None:
        """Copy the prepared database if there is one; otherwise migrate, without sample data."""
        if self.prepared.exists():
            super().prepare_database()
        else:
            self.run("migrate", "--no-input", "--verbosity", "0")

    def start_worker(self) -> None:
        if self.has_worker:
            self.worker = self.run_worker("celery", "--concurrency", "4")

    def await_worker(self) -> None:
        if self.has_worker:
            super().await_worker()

    def run_worker(self, queue: str, *options: str, **env: str) -> Child:
        """Start a worker of a queue."""
        return Child(
            "worker", self.worker_command(queue, *options), {**self.env, **env}, self.on_line
        )

    def worker_command(self, queue: str, *options: str) -> list[str]:
        """Return the command that starts a worker of a queue."""
        command = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "project",
            "--quiet",
            "worker",
            "--loglevel",
            "INFO",
        ]
        command += ["--without-mingle", "--without-gossip", "--queues", queue, *options]
        return [*command, "--hostname", f"{queue}-{secrets.token_hex(4)}@%h"]

    @contextmanager
    def extra_worker(self, queue: str, *options: str, **env: str) -> Iterator[Child]:
        """Run a ready worker of a queue inside the block, and stop it unless it has ended."""
        worker = self.run_worker(queue, *options, **env)
        self.extras.append(worker)
        try:
            worker.await_line(r" ready\.$", READY_TIMEOUT)
            yield worker
        finally:
            worker.stop(grace=0)
            self.extras.remove(worker)

    def run_celery(self, *arguments: str) -> None:
        """Run one of Celery's own commands to its end, as an administrator does."""
        child = Child(
            "celery",
            [sys.executable, "-m", "celery", "-A", "project", "--quiet", *arguments],
            self.env,
        )
        child.await_success(COMMAND_TIMEOUT)

    def call(self, task: str, queue: str, **kwargs: object) -> None:
        """Send a plain Celery task, that is no job."""
        name = f"tests.system.projects.faultjobs.tasks.{task}"
        self.run_celery("call", name, "--queue", queue, "--kwargs", json.dumps(kwargs))

    def stored_state(self, job_id: str) -> str:
        """Return the stored state, without enforcing the deadline as a reader does."""
        with self.store_client() as client:
            return str(json.loads(client.hget(f"jobs:{{{job_id}}}", "state") or '""'))

    def archived_state(self, job_id: str) -> str:
        """Return what the archive holds of a job."""
        with closing(sqlite3.connect(self.database)) as connection:
            row = connection.execute(
                "SELECT state FROM jobs_jobrecord WHERE id = ?", [job_id]
            ).fetchone()
        return row[0] if row else ""

    def store_client(self) -> redis.Redis:
        """Return a client of the Redis that holds the jobs, to be used by `with`."""
        return redis.Redis.from_url(self.redis_url)

    def broker_client(self) -> redis.Redis:
        """Return a client of the Redis that holds the messages."""
        return redis.Redis.from_url(self.broker.url)

    def person(self) -> Person:
        """Return somebody with a session of their own."""
        self.people.append(Person(self.base_url))
        return self.people[-1]

    def staff(self) -> Person:
        """Return somebody who may see every job."""
        person = self.person()
        person.client.post("/faults/staff/").raise_for_status()
        return person

    def await_redelivery(self) -> None:
        """Wait until unacknowledged messages are due; workers look every 10 s."""
        with self.broker_client() as client:
            until(
                lambda: (
                    not client.zcount("unacked_index", time.time() - VISIBILITY_TIMEOUT, "+inf")
                )
            )

    def await_quiet(self) -> None:
        """Wait until its own worker has nothing more to take."""
        with self.broker_client() as client:
            until(lambda: not client.llen("celery") and not client.hlen("unacked"))

    def open_gate(self, name: str) -> None:
        """Let the task that waits for it go on."""
        (self.folder / f"gate.{name}").touch()

    def pids_of(self, word: str) -> list[int]:
        """Return the process of each line that was noted under a word, in order."""
        notes = self.folder / "notes"
        lines = notes.read_text().splitlines() if notes.exists() else []
        return [int(line.split()[1]) for line in lines if line.split()[0] == word]

    def longest_silence(self, job_id: str) -> float:
        """Return how many seconds a task that held the interpreter lock stopped other threads."""
        [said] = re.findall(
            rf"^held:{job_id}:([\d.]+) ", (self.folder / "notes").read_text(), re.MULTILINE
        )
        return float(said)

    def await_run(self, job_id: str, times: int = 1) -> int:
        """Wait until a job's task has begun `times` times; return the process of the last."""
        return until(lambda: self.pids_of(f"ran:{job_id}")[times - 1 :], 20)[0]


@contextmanager
def down(server: EmbeddedServer) -> Iterator[None]:
    """Stop a Redis, and start it again, empty."""
    server.stop()
    try:
        yield
    finally:
        server.start()


@contextmanager
def hanging(server: EmbeddedServer) -> Iterator[None]:
    """Let a Redis take connections and answer nothing."""
    server.child.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.child.signal(signal.SIGCONT)
