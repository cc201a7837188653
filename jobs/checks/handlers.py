"""System checks of job tasks and their handlers.

They see the tasks that have been imported so far. In a worker those are all tasks.
"""

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Error

from jobs.exceptions import HandlerNotFound
from jobs.handlers import find_handler
from jobs.queues.celery import inspection


def check_handlers(**_: Any) -> list[CheckMessage]:
    """Check that each job task has a loaded handler, and that each task with a handler is one."""
    return [*_tasks_without_handler(), *_handlers_without_job_task()]


def _tasks_without_handler() -> Iterator[CheckMessage]:
    for name, task in inspection.job_tasks().items():
        try:
            find_handler(task.handler_class)
        except HandlerNotFound as error:
            text = f"The task {name} cannot be started as a job, because it has no handler."
            yield Error(text, hint=str(error), id="jobs.E005")


def _handlers_without_job_task() -> Iterator[CheckMessage]:
    hint = (
        "Decorate it with @job_task, or give it base=JobTask. "
        "Otherwise its job never learns how the task goes."
    )
    for name in inspection.half_job_tasks():
        text = f"The task {name} has a handler_class, but its class is not a JobTask."
        yield Error(text, hint=hint, id="jobs.E007")
