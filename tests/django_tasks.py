"""Tasks of Django's own, for Django 6.0 and newer."""

import threading

from django.tasks import task
from django.tasks.backends.immediate import ImmediateBackend
from django.tasks.signals import task_enqueued

from jobs.django_tasks import current_job, handled_by, start_job
from jobs.repository import JobRepository

from .tasks import TooHeavy

BEATEN = threading.Event()


@handled_by("tests.handlers.PostHandler")
@task
def send_letter(parcel, weight=1):
    """Send it, unless it is too heavy."""
    job = current_job()
    if weight > 10:
        raise TooHeavy(f"{parcel} is too heavy.")
    job.set_progress(1, 2, parcel)
    job.data["receipt"] = f"{parcel} sent"


@task
def stumble(secret):
    """Raise what nobody has thought of."""
    raise RuntimeError(f"could not log in with {secret}")


@task(takes_context=True)
def with_context(context, parcel):
    """Take the context, which no caller gives."""


@task(takes_context=True)
def ask_to_stop(context):
    """Cancel the job while it runs."""
    JobRepository().find(context.task_result.id).cancel()
    current_job().set_progress(1, 2)


@task
async def asynchronous():
    """Tell which job it runs for, from asynchronous code."""
    assert not current_job().is_ended


@task
def send_two(first, second):
    """Enqueue a job and a plain task, and go on."""
    start_job(None, send_letter, parcel=second)
    plain.enqueue()
    current_job().data["receipt"] = first


@task
def fail_quickly():
    """Fail."""
    raise RuntimeError("no")


@task
def plain():
    """Say something to nobody."""
    current_job().set_progress(1, 1)
    current_job().data["told"] = "nobody"


@task
def be_silent():
    """Say nothing until the heart has beaten."""
    assert BEATEN.wait(5)


class QuickBackend(ImmediateBackend):
    """A queue whose worker finishes a task before the sender hears that it was taken."""

    supports_get_result = True

    def _execute_task(self, task_result):
        self.result = task_result
        heard, task_enqueued.receivers = task_enqueued.receivers, []
        task_enqueued.sender_receivers_cache.clear()
        try:
            super()._execute_task(task_result)
        finally:
            task_enqueued.receivers = heard
        task_enqueued.send(type(self), task_result=task_result)

    def get_result(self, result_id):
        return self.result
