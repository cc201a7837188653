"""Run the work of an ended job again, as a new job of the same owner.

A job's record names no task, and its data may have changed since the start. So a handler needs a
`rerun` method if its jobs can be run again; most of them only call `start_again`.
"""

from collections.abc import Mapping
from inspect import Parameter, signature
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from django.http import HttpRequest
from django.utils.translation import gettext as _

from .core.snapshot import JobSnapshot
from .exceptions import HandlerNotFound, JobError, JobExists, JobNotFound
from .handlers import JobHandler
from .job import Job
from .queues.arguments import as_data, restored
from .repository import JobRepository
from .tasks import JobTask

NAMED = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


def start_again(task: JobTask, job: JobSnapshot, **celery_options: Any) -> Job:
    """Start the task again, as a new job with the old job's owner, tags and handler; return it.

    Its arguments are the values that the old job's data holds under their names. These are the
    arguments of `start_job`, unless the task has written others there. A UUID, date, time or
    Decimal is restored from its text. The new job's id follows from the old one's, so a job has
    one successor, however often somebody presses the button.

    Raises `JobError` for a job that has not ended, or whose data lacks an argument. Arguments of
    `exclude_from_data` are always lacking. Raises `JobExists` if the job has been run again. For
    everything else see `JobTask.submit_job`.
    """
    if not job.is_ended:
        raise JobError(_not_ended(job))
    if text := _already_rerun(job):
        raise JobExists(text)
    kwargs = _arguments(task, job)
    return task.submit_job(
        None,
        kwargs=kwargs,
        data={name: as_data(value) for name, value in kwargs.items()},
        handler_class=job.record.handler_class,
        tags=job.tags,
        owner=job.owner,
        task_id=_successor_id(job),
        **celery_options,
    )


def successor_of(job: JobSnapshot) -> Job | None:
    """Return the new job that `start_again` has made of this one; None if it has not."""
    try:
        return JobRepository().find(_successor_id(job))
    except JobNotFound:
        return None


def reason_against_rerun(job: Job) -> str:
    """Return why the job cannot be run again; "" if it can, as far as is known without trying."""
    if not job.is_ended:
        return _not_ended(job)
    try:
        handler = type(job.handler)
    except HandlerNotFound:
        return _("Its handler is no longer there.")
    if handler.rerun is JobHandler.rerun:
        return _("Its handler does not say how: it has no method `rerun`.")
    return _already_rerun(job)


def rerun(job: Job, request: HttpRequest) -> JobSnapshot:
    """Let the job's handler run it again, for staff. Raises `JobError` if it cannot."""
    if text := reason_against_rerun(job):
        raise JobError(text)
    return job.handler.rerun(request)


def _not_ended(job: JobSnapshot) -> str:
    return _("Job %(id)s has not ended yet.") % {"id": job.id}


def _already_rerun(job: JobSnapshot) -> str:
    successor = successor_of(job)
    if successor is None:
        return ""
    return _("It has been run again already, as job %(id)s.") % {"id": successor.id}


def _successor_id(job: JobSnapshot) -> str:
    return str(uuid5(NAMESPACE_URL, f"django-waitroom:again:{job.id}"))


def _arguments(task: JobTask, job: JobSnapshot) -> dict[str, Any]:
    parameters = signature(task.run).parameters
    _require_all_in_data(task, parameters, job)
    kinds = {
        name: kind for kind, _colon, name in (entry.partition(":") for entry in job.record.kinds)
    }
    return {name: _argument(job, name, kinds.get(name)) for name in parameters if name in job.data}


def _require_all_in_data(
    task: JobTask, parameters: Mapping[str, Parameter], job: JobSnapshot
) -> None:
    if secret := [name for name in parameters if name in task.exclude_from_data]:
        text = _("It cannot be run again: %(names)s was kept out of its data.")
        raise JobError(text % {"names": ", ".join(secret)})
    missing = [
        name
        for name, parameter in parameters.items()
        if parameter.default is Parameter.empty and name not in job.data
    ]
    if missing or any(parameter.kind not in NAMED for parameter in parameters.values()):
        text = _("Its arguments are not known: its data does not hold %(names)s.")
        raise JobError(text % {"names": ", ".join(missing) or "*"})


def _argument(job: JobSnapshot, name: str, kind: str | None) -> Any:
    value = job.data[name]
    try:
        return value if kind is None else restored(kind, value)
    except ValueError as error:
        text = _("Its argument %(name)s is not known: its data holds %(value)s in its place.")
        raise JobError(text % {"name": name, "value": value}) from error
