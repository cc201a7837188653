"""What can be done to the stack.

Each fault names the part that it hurts, and returns when this part may go on. Some return the
processes that they have killed.
"""

import os
import signal
import time
from collections.abc import Callable
from random import Random
from typing import NamedTuple

import redis

from tests.processes import children
from tests.system.harness.stack import paused

from .history import History
from .stack import WORKERS, ChaosStack


class Fault(NamedTuple):
    """One thing that can be done."""

    target: str
    name: str
    weight: int
    """How often it is chosen, compared with others."""
    act: Callable[[str, float], tuple[int, ...] | None]
    """Takes the target, and for how many seconds it is to last."""


class Faults:
    """All that can be done to one stack."""

    def __init__(self, stack: ChaosStack, history: History, random: Random):
        self.stack = stack
        self.history = history
        self.random = random

    def all(self) -> list[Fault]:
        """List them."""
        found = [
            *(Fault(worker, "kill -9", 2, self.kill_worker) for worker in WORKERS),
            *(Fault(worker, "kill -9 of one process", 2, self.kill_process) for worker in WORKERS),
            *(Fault(worker, "stop", 2, self.pause_worker) for worker in WORKERS),
            Fault("server", "kill -9", 2, self.kill_server),
            Fault("server", "stop", 2, self.pause_server),
            Fault("store", "restart empty", 1, self.restart_redis),
            Fault("store", "FLUSHALL", 1, self.empty),
            Fault("store", "CLIENT PAUSE", 2, self.pause_clients),
            Fault("store", "stop", 1, self.pause_redis),
            Fault("store", "CLIENT KILL TYPE pubsub", 2, self.kill_subscribers),
            Fault("store", "CLIENT KILL TYPE normal", 1, self.kill_clients),
            Fault("database", "lock", 4, self.lock_database),
            Fault("deadline", "pass", 4, self.pass_deadline),
            Fault("lease", "pass", 2, self.pass_lease),
        ]
        if self.stack.has_own_broker:
            found.append(Fault("broker", "restart empty", 1, self.restart_redis))
            found.append(Fault("broker", "stop", 1, self.pause_redis))
        return found

    def kill_worker(self, worker: str, seconds: float) -> tuple[int, ...]:
        """Kill a worker with its pool, and start it again a little later."""
        pids = self.stack.pids_of_worker(worker)
        self.stack.workers[worker].stop(grace=0)
        time.sleep(seconds)
        self.stack.revive_worker(worker)
        return pids

    def kill_process(self, worker: str, seconds: float) -> tuple[int, ...]:
        """Kill one process of a worker's pool."""
        [*pool] = children(self.stack.workers[worker].pid)
        pids = tuple(process.pid for process in pool[-1:])
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        return pids

    def pause_worker(self, worker: str, seconds: float) -> None:
        """Freeze a worker, now and then for longer than its jobs may be silent."""
        with paused(self.stack.workers[worker]):
            time.sleep(seconds)

    def kill_server(self, server: str, seconds: float) -> None:
        """Kill the web server, and start it again a little later."""
        self.stack.server.stop(grace=0)
        time.sleep(seconds / 3)
        self.stack.revive_server()

    def pause_server(self, server: str, seconds: float) -> None:
        """Freeze the web server."""
        with paused(self.stack.server):
            time.sleep(seconds)

    def restart_redis(self, target: str, seconds: float) -> None:
        """Kill a Redis, and start it again on its port, empty."""
        server = self._redis(target)
        began = time.time()
        server.stop()
        try:
            time.sleep(seconds / 2)
        finally:
            server.start()
            self._note_emptied(target, began)

    def empty(self, target: str, seconds: float) -> None:
        """Empty a Redis that runs."""
        began = time.time()
        with self._client(target) as client:
            client.flushall()
        self._note_emptied(target, began)

    def pause_clients(self, target: str, seconds: float) -> None:
        """Let Redis answer nobody for a while."""
        with self._client(target) as client:
            client.client_pause(int(seconds * 1000), all=self.random.random() < 0.7)
        time.sleep(seconds)

    def pause_redis(self, target: str, seconds: float) -> None:
        """Freeze a Redis."""
        with paused(self._redis(target).child):
            time.sleep(seconds)

    def kill_subscribers(self, target: str, seconds: float) -> None:
        """Cut the connections on which servers listen."""
        with self._client(target) as client:
            client.client_kill_filter(_type="pubsub")

    def kill_clients(self, target: str, seconds: float) -> None:
        """Cut all other connections."""
        with self._client(target) as client:
            client.client_kill_filter(_type="normal", skipme=True)

    def lock_database(self, target: str, seconds: float) -> None:
        """Keep everybody from writing to the archive; on PostgreSQL sometimes from reading it."""
        mode = self.random.choice(("EXCLUSIVE", "ACCESS EXCLUSIVE"))
        with self.stack.connection() as connection:
            if self.stack.postgres:
                connection.execute("BEGIN")
                connection.execute(f"LOCK TABLE jobs_jobrecord IN {mode} MODE")
            else:
                connection.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
            connection.execute("ROLLBACK")

    def pass_deadline(self, target: str, seconds: float) -> None:
        """Let the deadline of some job pass that has one."""
        self._pass("deadline")

    def pass_lease(self, target: str, seconds: float) -> None:
        """Let the lease of a claim pass that is under way, as if it stood still."""
        self._pass("leased_until")

    def _pass(self, field: str) -> None:
        with self._client("store") as client:
            keys = sorted(
                key for key in client.scan_iter("jobs:{*}") if client.type(key) == b"hash"
            )
            open_ = [key for key in keys if int(client.hget(key, field) or 0) > 1]
            if open_:
                client.hset(self.random.choice(open_), field, 1)

    def _redis(self, target: str):
        return self.stack.broker if target == "broker" else self.stack.redis

    def _client(self, target: str) -> redis.Redis:
        return redis.Redis.from_url(self._redis(target).url, socket_timeout=5)

    def _note_emptied(self, target: str, began: float) -> None:
        what = target if self.stack.has_own_broker else "both"
        self.history.add("emptied", began, who=what, until=time.time())
