"""Hurts the stack: one fault after another by a seed's order, several parts at once."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from random import Random

from .faults import Fault, Faults
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
        self._busy: set[str] = set()
        self._lock = threading.RLock()
        self.faults = Faults(stack, history, Random(f"{seed} faults")).all()  # noqa: S311

    def run(self) -> None:
        """Do it, in this thread and some others; returns when all is calm."""
        with ThreadPoolExecutor(MOST_AT_ONCE) as strikes:
            end = time.monotonic() + self.seconds
            while time.monotonic() < end and not self.is_over.is_set():
                self._strike(strikes)
                self._watch(self.random.uniform(*GAPS))
        if self.is_over.is_set():  # somebody has pressed Ctrl-C
            return
        self._revive()
        self.stack.await_server()
        self.history.add("calm")

    def _strike(self, strikes: ThreadPoolExecutor) -> None:
        weights = [fault.weight for fault in self.faults]
        fault = self.random.choices(self.faults, weights)[0]
        seconds = self.random.choice((0.3, 1, 2, 3)) * self.random.uniform(0.5, 2)
        with self._lock:
            if fault.target in self._busy or len(self._busy) >= MOST_AT_ONCE:
                return
            self._busy.add(fault.target)
        strikes.submit(self._do, fault, seconds)

    def _do(self, fault: Fault, seconds: float) -> None:
        began = time.time()
        try:
            pids = fault.act(fault.target, seconds) or ()
            word = fault.name
        except Exception as error:  # of a Redis or a database that another fault hurts just now
            pids, word = (), f"{fault.name} failed: {error!r}"
        finally:
            with self._lock:
                self._busy.discard(fault.target)
        who = fault.target
        self.history.add("fault", began, who=who, word=word, until=time.time(), pids=pids)

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
