"""Tasks that are slow, silent, busy, deaf, mortal or careless; the views beside start them."""

import asyncio
import ctypes
import functools
import itertools
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from celery import chain, shared_task
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded
from django.contrib.auth.models import Group
from django.db import transaction
from django.utils.translation import gettext_lazy

from jobs.exceptions import JobError, UnserializableData
from jobs.tasks import job_task

from .notes import Ticker, await_gate, gate_is_open, note

HANDLER = "tests.system.projects.faultjobs.handlers.FaultHandler"
FOREVER = 60  # seconds; no test waits that long
BREATH = 0.15  # seconds; progress is sent every tenth


@shared_task(ignore_result=True)
def plain(word):
    """Do what a task without a job does."""
    note(word)


@job_task(handler_class=HANDLER)
def wait(self, **data):
    """Say that it runs, then nothing until the test opens the gate."""
    note(f"ran:{self.request.id}")
    await_gate(self.request.id)


@job_task(handler_class=HANDLER)
def write_and_wait(self):
    """Store a word when the test opens the first gate, and end at the second."""
    note(f"ran:{self.request.id}")
    await_gate(f"{self.request.id}.write")
    self.job.data["word"] = "stored"
    note(f"stored:{self.request.id}")
    await_gate(self.request.id)


@job_task(handler_class=HANDLER, start_timeout=1.5)
def hurry(self):
    """Be of use only if started soon."""
    note(f"ran:{self.request.id}")


@job_task(handler_class=HANDLER, acks_late=True)
def wait_acks_late(self):
    """Do the same, acknowledged only at the end; a second run finds the gate open."""
    note(f"ran:{self.request.id}")
    await_gate(self.request.id)


@job_task(handler_class=HANDLER)
def sleep(self, seconds):
    """Say nothing."""
    note(f"ran:{self.request.id}")
    time.sleep(seconds)


@job_task(handler_class=HANDLER)
def burn(self, seconds):
    """Use the CPU without a break."""
    note(f"ran:{self.request.id}")
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


@job_task(handler_class=HANDLER)
def hold_the_lock(self, seconds):
    """Hold the interpreter's lock in one C call, and note how long no other thread could run."""
    note(f"ran:{self.request.id}")
    ticker = Ticker()
    ctypes.PyDLL(None).sleep(seconds)  # unlike CDLL, it keeps the lock
    note(f"held:{self.request.id}:{ticker.longest_gap():.1f}")


@job_task(handler_class=HANDLER)
def die(self, how):
    """End with the process."""
    note(f"ran:{self.request.id}")
    if how == "SystemExit":
        raise SystemExit(3)
    if how == "os._exit":
        os._exit(0)
    os.kill(os.getpid(), getattr(signal, how))
    time.sleep(FOREVER)


@job_task(handler_class=HANDLER, time_limit=1)
def overstay(self):
    """Take longer than the hard limit."""
    note(f"ran:{self.request.id}")
    time.sleep(FOREVER)


@job_task(handler_class=HANDLER, acks_late=True, reject_on_worker_lost=True, max_retries=1)
def poison(self):
    """Kill the process at each delivery."""
    kill_ourselves(self.request.id)


@job_task(handler_class=HANDLER, acks_late=True, reject_on_worker_lost=True, max_retries=None)
def poison_for_ever(self):
    """Do the same, with no limit to its retries."""
    kill_ourselves(self.request.id)


def kill_ourselves(task_id):
    """End as the kernel ends a process that takes too much memory."""
    note(f"ran:{task_id}")
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(FOREVER)


@job_task(handler_class=HANDLER, soft_time_limit=1)
def soft_limit(self, catch):
    """Meet the soft limit, and go on or not."""
    try:
        time.sleep(FOREVER)
    except SoftTimeLimitExceeded:
        if not catch:
            raise
    self.job.data["caught"] = True


@job_task(handler_class=HANDLER, autoretry_for=(OSError,), max_retries=2, default_retry_delay=0.5)
def autoretry(self, failures):
    """Fail `failures` times."""
    note(f"ran:{self.request.id}")
    self.job.set_progress(1, 2, f"attempt {self.job.attempt}")
    if self.request.retries < failures:
        raise OSError("password hunter2")


@job_task(handler_class=HANDLER, max_retries=1)
def retry(self, countdown):
    """Ask for another attempt once, and say progress of 100 % before."""
    self.job.set_progress(2, 2)
    if not self.request.retries:
        raise self.retry(countdown=countdown)


@job_task(handler_class=HANDLER, autoretry_for=(Exception,), default_retry_delay=0)
def count(self, gate=False):
    """Count until somebody cancels, and would try again after any error."""
    note(f"ran:{self.request.id}")
    for n in range(FOREVER * 20):
        self.job.set_progress(n, FOREVER * 20)
        time.sleep(0.05)


@job_task(handler_class=HANDLER)
def work(self):
    """Say progress again and again until the test opens the gate."""
    note(f"ran:{self.request.id}")
    for n in itertools.count():
        self.job.set_progress(n)
        if gate_is_open(self.request.id):
            return
        time.sleep(0.05)


@job_task(handler_class=HANDLER, ignore_result=False)
def part(self, name, fails=False):
    """Be a part of a canvas, and say so."""
    note(f"part:{name}")
    if fails:
        raise JobError("This part cannot be done.")


@job_task(handler_class=HANDLER)
def give_up(self, how):
    """Tell Celery, and nobody else, that this task is no good."""
    raise {"Ignore": Ignore, "Reject": Reject}[how]()


@job_task(handler_class=HANDLER)
def be_replaced(self, by):
    """Leave the work to another task, or to a chain of them."""
    note(f"replaced:{self.request.id}")
    parts = [part.si(name, fails=name == "odd") for name in by]
    self.replace(chain(*parts) if len(parts) > 1 else parts[0])


@job_task(handler_class=HANDLER)
def use_threads(self, name):
    """Write down what the job is called, from coroutines and threads of the task's own."""

    def write(key):
        self.job.data[key] = f"{self.job.data['name']} {self.job.id}"

    async def write_in_thread():
        await asyncio.gather(*(asyncio.to_thread(write, f"thread {n}") for n in range(4)))

    asyncio.run(write_in_thread())
    with ThreadPoolExecutor(1) as pool:
        self.job.data["error"] = str(pool.submit(lambda: self.job).exception())


@job_task(handler_class=HANDLER)
def in_transaction(self, roll_back):
    """Write a row, say progress and complete; commit when the gate opens, or roll back."""
    with transaction.atomic():
        Group.objects.create(name=self.request.id)
        self.job.set_progress(1, 4, "inside")
        self.job.data["row"] = self.request.id
        self.job.complete()
        await_gate(self.request.id)
        if roll_back:
            raise JobError("The transaction was rolled back.")


@job_task(handler_class=HANDLER)
def flood(self, calls, seconds):
    """Say far too much within some seconds, then say nothing until that has been sent."""
    started = time.monotonic()
    for n in range(1, calls + 1):
        self.job.set_progress(n, calls, f"row {n}")
        time.sleep(max(0, started + n * seconds / calls - time.monotonic()))
    time.sleep(BREATH)


@job_task(handler_class=HANDLER)
def say_rubbish(self):
    """Say what is no progress, slowly enough that all of it is sent."""
    numbers = (0, -5, None, 5, "more", float("inf"), float("nan"), [1], object(), 10**400, True)
    for current, total in zip(numbers, reversed(numbers), strict=True):
        self.job.set_progress(current, total, "\ud800\0")
        time.sleep(BREATH)
    for amount in ("some", float("inf"), -3, None, 10**400):
        self.job.increment_progress(amount, Unspeakable())
        time.sleep(BREATH)


class Unspeakable:
    def __str__(self):
        raise ValueError("no words")


ODD = {
    "nan": float("nan"),
    "infinity": [float("inf")],
    "date": datetime.now(UTC),
    "lazy": gettext_lazy("text"),
    "tuple": {"a": (1, 2)},
    "bytes": b"x",
    "typed": [{"__type__": "date", "__value__": "2024-01-01"}],
    "key": {1: "one"},
    "deep": functools.reduce(lambda inner, _: [inner], range(500), []),
    "megabyte": "x" * 2**20,
}


@job_task(handler_class=HANDLER)
def refuse(self, value):
    """Try to store what cannot be stored, and store the refusal."""
    try:
        self.job.data["odd"] = ODD[value]
    except UnserializableData as error:
        self.job.data["refusal"] = str(error)[:500]


@job_task(handler_class=HANDLER)
def keep(self, **values):
    """Store the arguments once more, as a task would."""
    for key, value in values.items():
        self.job.data[f"copy of {key}"] = value
