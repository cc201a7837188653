"""Hurts the stack: one fault after another by a seed's order, several at once on different parts."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random

import redis

from tests.live.stack import paused
from tests.processes import children

from .history import History
from .stack import WORKERS, ChaosStack

GAPS = (0.2, 2.0)  # seconds between two faults
MOST_AT_ONCE = 3
WATCH = 0.2  # seconds between two looks at what has ended by itself


class Nemesis:
    """Does `seconds` of damage, then lets everything run again."""

    def __init__(self, stack: ChaosStack, history: History, seed: int, seconds: float):
        self.stack = stack
        self.history = history
        self.random = Random(f"{seed} nemesis")  # noqa: S311 - not a secret
        self.seconds = seconds
        self.is_over = threading.Event()
        self.done: Counter[str] = Counter()
        self._busy: set[str] = set()
        self._lock = threading.RLock()
        self.faults: list[tuple[str, str, int, Callable[[str, float], object]]] = [
            *((worker, "kill -9", 2, self.kill_worker) for worker in WORKERS),
            *((worker, "kill -9 of one process", 2, self.kill_process) for worker in WORKERS),
            *((worker, "stop", 2, self.pause_worker) for worker in WORKERS),
            ("server", "kill -9", 2, self.kill_server),
            ("server", "stop", 2, self.pause_server),
            ("store", "restart empty", 1, self.restart_redis),
            ("store", "FLUSHALL", 1, self.empty),
            ("store", "CLIENT PAUSE", 2, self.pause_clients),
            ("store", "stop", 1, self.pause_redis),
            ("store", "CLIENT KILL TYPE pubsub", 2, self.kill_subscribers),
            ("store", "CLIENT KILL TYPE normal", 1, self.kill_clients),
            ("database", "lock", 4, self.lock_database),
            ("deadline", "pass", 4, self.pass_deadline),
            ("lease", "pass", 2, self.pass_lease),
        ]
        if stack.has_own_broker:
            self.faults.append(("broker", "restart empty", 1, self.restart_redis))
            self.faults.append(("broker", "stop", 1, self.pause_redis))

    def run(self) -> None:
        """Do it, in this thread and some others; returns when all is calm."""
        with ThreadPoolExecutor(MOST_AT_ONCE) as hands:
            end = time.monotonic() + self.seconds
            while time.monotonic() < end and not self.is_over.is_set():
                self._strike(hands)
                self._watch(self.random.uniform(*GAPS))
        if self.is_over.is_set():  # somebody has pressed Ctrl-C
            return
        self._revive()
        self.stack.await_server()
        self.history.add("calm")

    def _strike(self, hands: ThreadPoolExecutor) -> None:
        weights = [weight for _, _, weight, _ in self.faults]
        target, name, _weight, act = self.random.choices(self.faults, weights)[0]
        seconds = self.random.choice((0.3, 1, 2, 3)) * self.random.uniform(0.5, 2)
        with self._lock:
            if target in self._busy or len(self._busy) >= MOST_AT_ONCE:
                return
            self._busy.add(target)
        hands.submit(self._do, target, name, act, seconds)

    def _do(self, target: str, name: str, act: Callable, seconds: float) -> None:
        began = time.time()
        try:
            pids = act(target, seconds) or ()
            self.done[f"{target}: {name}"] += 1
            self.history.add("fault", began, who=target, word=name, until=time.time(), pids=pids)
        except (OSError, redis.RedisError) as error:
            self.history.add("fault", began, who=target, word=f"{name} failed: {error!r}")
        finally:
            with self._lock:
                self._busy.discard(target)

    def _watch(self, seconds: float) -> None:
        """Wait, and start again what has ended by itself, as a supervisor does."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.is_over.wait(WATCH):
            self._revive()

    def _revive(self) -> None:
        with self._lock:
            for worker in WORKERS:
                if worker not in self._busy:
                    pids = (self.stack.workers[worker].pid,)
                    if self.stack.revive_worker(worker):
                        self.history.add("fault", who=worker, word="had ended", pids=pids)
            if "server" not in self._busy and self.stack.revive_server():
                self.history.add("fault", who="server", word="had ended")

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
        """Keep everybody from writing to the archive, or on PostgreSQL at times from reading it."""
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
            keys = sorted(key for key in client.scan_iter("jobs:{*}") if client.type(key) == b"hash")
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
