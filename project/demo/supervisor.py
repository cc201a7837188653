"""Keeps a stack running until a signal comes or a part of it is beyond help."""

import queue
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .processes import Child, ProcessError
from .stack import Stack

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LONGEST_DELAY = 16.0  # seconds before a worker that died again is started again
HEALTHY_AFTER = 60.0  # seconds; a worker that ran for so long is forgiven its earlier deaths
MOST_RESTARTS = 8  # in a row


@contextmanager
def running(stack: Stack, say: Callable[[str], object]) -> Iterator[None]:
    """Run the stack inside the block; the first signal ends the block, a second one kills what has not stopped yet.

    A third one ends this process on the spot, and with it whatever may still run.
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
    """Watches the stack's children: a worker that ends is started again, the end of any other part is the end of all.

    The worker needs it: it exits when Redis restarts while a task with `acks_late` runs (celery/kombu issue 970).
    """

    def __init__(self, stack: Stack, say: Callable[[str], object]):
        self.stack = stack
        self.say = say
        self.started_at = time.monotonic()
        self.restarts = 0
        self.delay: float | None = (
            None  # seconds until the worker is started again; None while it runs
        )

    def watch(self) -> None:
        """Watch until a child ends for good, which is raised."""
        while True:
            try:
                self.attend_to(self.stack.exits.get(timeout=self.delay))
            except queue.Empty:
                self.replace_worker()

    def attend_to(self, child: Child) -> None:
        """Do what the end of this child calls for."""
        if child is self.stack.worker:
            self.plan_replacement(child)
        elif child in self.stack.children:
            raise ProcessError(child.obituary)

    def plan_replacement(self, worker: Child) -> None:
        """Choose a delay that grows from death to death, or give up."""
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
