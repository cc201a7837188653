"""Keep a stack running until a signal comes or one of its parts cannot be restarted."""

import queue
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .processes import Child, ProcessError
from .stack import Stack

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LONGEST_DELAY = 16.0  # seconds before a worker that keeps dying is restarted
HEALTHY_AFTER = 60.0  # seconds; after that the worker's earlier deaths no longer count
MOST_RESTARTS = 8  # in a row


@contextmanager
def running(stack: Stack, say: Callable[[str], object]) -> Iterator[None]:
    """Run the stack inside the block.

    The first signal ends the block. A second one kills what has not stopped yet.
    A third one ends this process at once, and with it every child.
    """

    def hurry(number, frame):
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        stack.kill()

    def interrupt(number, frame):
        for each in before:
            signal.signal(each, hurry)
        raise KeyboardInterrupt

    before = {
        each: signal.getsignal(each)
        for each in SIGNALS
        if signal.getsignal(each) is not signal.SIG_IGN or each == signal.SIGINT
    }
    try:
        for each in before:
            signal.signal(each, interrupt)
        with stack:
            try:
                yield
            except KeyboardInterrupt:
                say("Stopping ...")
                raise
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


class Supervisor:
    """Watches the stack's children: it restarts a worker that ends, and gives up on other parts.

    A worker needs that, because it exits if Redis restarts while a task with `acks_late` runs
    (celery/kombu issue 970).
    """

    def __init__(self, stack: Stack, say: Callable[[str], object]):
        self.stack = stack
        self.say = say
        self.started_at = time.monotonic()
        self.restarts = 0
        # Seconds until the worker is restarted, or None while it runs
        self.delay: float | None = None

    def watch(self) -> None:
        """Watch until a child ends for good, and raise `ProcessError` then."""
        while True:
            try:
                self.attend_to(self.stack.exits.get(timeout=self.delay))
            except queue.Empty:
                self.replace_worker()

    def attend_to(self, child: Child) -> None:
        """Plan a new worker, or give up if another part ended."""
        if child is self.stack.worker:
            self.plan_replacement(child)
        elif child in self.stack.children:
            raise ProcessError(child.obituary)

    def plan_replacement(self, worker: Child) -> None:
        """Choose a delay that grows with each death, or give up."""
        if time.monotonic() - self.started_at > HEALTHY_AFTER:
            self.restarts = 0
        if self.restarts == MOST_RESTARTS:
            raise ProcessError(f"{worker.obituary} (for the {MOST_RESTARTS + 1}th time in a row)")
        self.delay = min(2.0**self.restarts / 2, LONGEST_DELAY)
        self.restarts += 1
        self.say(f"{worker.obituary}\nThe worker is started again in {self.delay:g} s.")

    def replace_worker(self) -> None:
        """Start another worker."""
        self.stack.start_worker()
        self.started_at = time.monotonic()
        self.delay = None
