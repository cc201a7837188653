"""Sends the work of a stored job to the broker. A broker that is down makes a failed job."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from celery import Task
from celery.canvas import Signature
from django.utils.translation import gettext as _

from jobs.exceptions import JobError
from jobs.job import Job
from jobs.logs import get_logger
from jobs.queues.outcome import end
from jobs.queues.submission import ALREADY_RUNNING
from jobs.runtime.replaceable import replaceable
from jobs.states import JobState

from .app import celery_app
from .headers import HEADER, header_of

logger = get_logger(__name__)


@replaceable
def send_task(
    task: Task, job: Job, args: list[Any], kwargs: dict[str, Any], options: Mapping[str, Any]
) -> None:
    """Send the task of a job with Celery's options."""
    headers = {**options.get("headers", {}), HEADER: header_of(job, kwargs)}
    message = {**options, "args": args, "kwargs": kwargs, "task_id": job.id, "headers": headers}
    try:
        result = task.apply_async(**message)
    except Exception:
        logger.exception("job %s: the broker did not take the task %s", job.id, task.name)
        _fail_unsent(job)
        return
    if getattr(result, "id", job.id) != job.id:
        # a base class that deduplicates has sent nothing, because the same task is running
        logger.warning(
            "job %s: %s was not sent, task %s stands in for it", job.id, task.name, result.id
        )
        end(job, JobState.FAILED, str(ALREADY_RUNNING))
    else:
        _refresh_if_eager(job)


def send_canvas(job: Job, canvas: Signature) -> None:
    """Send the parts of a job's canvas."""
    try:
        canvas.apply_async()
    except Exception:
        _refresh_if_eager(job)
        if job.is_ended:  # in eager mode a chain raises what one of its parts has raised
            return
        logger.exception("job %s: the broker did not take the canvas", job.id)
        _fail_unsent(job)
    else:
        _refresh_if_eager(job)


@replaceable
def give_to_broker(publish: Callable[[], Any]) -> Any:
    """Publish a message; `jobs.testing.broker_down` replaces this."""
    return publish()


def _fail_unsent(job: Job) -> None:
    end(job, JobState.FAILED, _("The work could not be started. Please try again later."))


def _refresh_if_eager(job: Job) -> None:
    """Read a job again whose task has just run here, because of `CELERY_TASK_ALWAYS_EAGER`."""
    if celery_app().conf.task_always_eager:
        with suppress(JobError):
            job.refresh()
