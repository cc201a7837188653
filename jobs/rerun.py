"""The work of a job that has ended, started again as a new job of the same owner, by staff.

A job's record names no task, and its data may have changed since it was given. So a handler says by its `rerun`
method that its jobs can be run again, and how; `start_again` is what most of them need.
"""

from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from django.http import HttpRequest
from django.utils.translation import gettext as _

from .core.snapshot import JobSnapshot
from .exceptions import HandlerNotFound, JobError, JobExists, JobNotFound
from .handlers import JobHandler
from .job import Job
from .queues.arguments import as_data, restored
from .repository import JobRepository

if TYPE_CHECKING:
    from .tasks import JobTask

NAMED = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


def start_again(task: "JobTask", job: JobSnapshot, **celery_options: Any) -> Job:
    """Start the task once more, as a new job with the old one's owner, tags and handler; returns the new job.

    Its arguments are the values that the old job's data holds under their names: those that `start_job` was given,
    unless the task has written others there. A job has one successor, whose id follows from its own, however often
    somebody presses the button. A UUID, date, time or Decimal is brought back from its text.

    Raises `JobError` for a job that has not ended, or whose data lacks an argument, which is always so
    for an argument of `exclude_from_data`. Raises `JobExists` if the job has been run again.
    For everything else see `JobTask.submit_job`.
    """
    if not job.is_ended:
        raise JobError(_("Job %(id)s has not ended yet.") % {"id": job.id})
    if (successor := successor_of(job)) is not None:
        raise JobExists(_("It has been run again already, as job %(id)s.") % {"id": successor.id})
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
    """Return the job as which `start_again` has run it again; None if it has not."""
    try:
        return JobRepository().find(_successor_id(job))
    except JobNotFound:
        return None


def obstacle(job: Job) -> str:
    """Say why a job cannot be run again; "" if it can, as far as can be told without trying."""
    if not job.is_ended:
        return _("Job %(id)s has not ended yet.") % {"id": job.id}
    try:
        handler = type(job.handler)
    except HandlerNotFound:
        return _("Its handler is no longer there.")
    if handler.rerun is JobHandler.rerun:
        return _("Its handler does not say how: it has no method `rerun`.")
    if (successor := successor_of(job)) is not None:
        return _("It has been run again already, as job %(id)s.") % {"id": successor.id}
    return ""


def rerun(job: Job, request: HttpRequest) -> JobSnapshot:
    """Have the job's handler run it again, in the request of the one who wants it; raises `JobError` if it cannot."""
    if text := obstacle(job):
        raise JobError(text)
    return job.handler.rerun(request)


def _successor_id(job: JobSnapshot) -> str:
    return str(uuid5(NAMESPACE_URL, f"django-waitroom:again:{job.id}"))


def _arguments(task: "JobTask", job: JobSnapshot) -> dict[str, Any]:
    parameters = {
        parameter.name: parameter for parameter in signature(task.run).parameters.values()
    }
    if secret := [name for name in parameters if name in task.exclude_from_data]:
        names = ", ".join(secret)
        raise JobError(
            _("It cannot be run again: %(names)s was kept out of its data.") % {"names": names}
        )
    needed = [
        name
        for name, p in parameters.items()
        if p.default is Parameter.empty and name not in job.data
    ]
    if needed or any(parameter.kind not in NAMED for parameter in parameters.values()):
        names = ", ".join(needed) or "*"
        raise JobError(
            _("Its arguments are not known: its data does not hold %(names)s.") % {"names": names}
        )
    kinds = {
        name: kind for kind, _colon, name in (entry.partition(":") for entry in job.record.kinds)
    }
    return {name: _argument(job, name, kinds.get(name)) for name in parameters if name in job.data}


def _argument(job: JobSnapshot, name: str, kind: str | None) -> Any:
    value = job.data[name]
    try:
        return value if kind is None else restored(kind, value)
    except ValueError as error:
        text = _("Its argument %(name)s is not known: its data holds %(value)s in its place.")
        raise JobError(text % {"name": name, "value": value}) from error
