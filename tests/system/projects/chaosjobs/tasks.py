"""Tasks of several kinds; each notes when it begins, and how it ends as far as it can see."""

import time
from contextlib import contextmanager

from jobs.exceptions import JobError
from jobs.tasks import job_task
from tests.system.projects.faultjobs.notes import note

HANDLER = "tests.system.projects.chaosjobs.handlers.ChaosHandler"
STEP = 0.1  # seconds


@contextmanager
def noted(job):
    """Note the beginning, and the end, before anybody else can know of it."""
    say(job, "begins")
    try:
        yield
    except BaseException as error:
        say(job, type(error).__name__)
        raise
    say(job, "complete")


def say(job, word):
    """Write a line: the job, a word, the time, and our process."""
    note(f"{job.id} {word} {time.time():.6f}")


@job_task(handler_class=HANDLER)
def quick(self, **data):
    """Be done at once."""
    with noted(self.job):
        self.job.data["answer"] = 42


@job_task(handler_class=HANDLER)
def slow(self, seconds, **data):
    """Say progress all the time."""
    with noted(self.job):
        work(self.job, seconds)


@job_task(handler_class=HANDLER)
def silent(self, seconds, **data):
    """Say nothing."""
    with noted(self.job):
        time.sleep(seconds)


@job_task(handler_class=HANDLER)
def failing(self, seconds, **data):
    """Work for nothing."""
    with noted(self.job):
        work(self.job, seconds)
        raise JobError("This cannot be done.")


@job_task(handler_class=HANDLER, max_retries=2)
def retrying(self, seconds, **data):
    """Succeed at the third attempt."""
    with noted(self.job):
        work(self.job, seconds / 3)
        if self.request.retries < 2:
            raise self.retry(countdown=0.3)


@job_task(handler_class=HANDLER, acks_late=True, reject_on_worker_lost=True)
def late(self, seconds, **data):
    """Have the message delivered again when the process dies."""
    with noted(self.job):
        work(self.job, seconds)


def work(job, seconds):
    """Work, saying progress."""
    steps = max(1, round(seconds / STEP))
    for step in range(steps):
        job.set_progress(step, steps)
        time.sleep(STEP)
