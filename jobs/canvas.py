"""One job for a whole canvas: a group, a chain or a chord of `JobTask`s.

Its progress is the number of parts that have ended; it is ready when the last has, and failed as soon as one has. The
parts are ordinary tasks with a header that names the job, so no result backend is needed (except by a chord itself).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from celery.canvas import Signature
from django.http import HttpRequest
from django.utils.translation import gettext as _

from .access import owner_of
from .handlers import JobHandler
from .job import Job
from .logs import get_logger
from .queues.celery.attempt import end
from .queues.celery.parts import job_parts, name_job
from .queues.submission import submit
from .queues.unique_keys import OWNER, key_given
from .repository import HandlerClass, JobRepository
from .states import JobState
from .tasks import JobTask, refresh_if_eager

logger = get_logger(__name__)


def start_canvas(
    request: HttpRequest | None,
    canvas: Signature,
    *,
    handler_class: HandlerClass = JobHandler,
    data: Mapping[str, Any] | None = None,
    tags: Iterable[str] = (),
    owner: Any = None,
    unique: str | None = None,
    unique_scope: str = OWNER,
) -> Job:
    """Start a canvas as one job; times, errors and guarantees as `JobTask.submit_job`.

    A part whose process dies fails the job; while parts wait in the queue, `START_TIMEOUT` counts from the last sign
    of life. Inside a part `self.job` keeps to itself. Raises `TypeError` for a part that is no `JobTask`. An empty
    canvas is complete at once.
    """
    canvas = canvas.clone()
    parts = job_parts(canvas, JobTask)
    if owner is None and request is not None:
        owner = owner_of(request)
    job = JobRepository().draft(None, handler_class, owner, tags, data or {})
    job.record = job.record.replace(total=len(parts) or None)
    name_job(parts, job.id)

    key = "" if unique is None else key_given(unique)
    return submit(job, lambda: _send(job, canvas, bool(parts)), key=key, scope=unique_scope)


def _send(job: Job, canvas: Signature, has_parts: bool) -> None:
    if not has_parts:
        job.end(JobState.COMPLETE)
        return
    try:
        canvas.apply_async()
    except Exception:
        refresh_if_eager(job)
        if job.is_ended:  # in eager mode a chain raises what one of its parts has raised
            return
        logger.exception("job %s: the broker did not take the canvas", job.id)
        end(job, JobState.FAILED, _("The work could not be started. Please try again later."))
    else:
        refresh_if_eager(job)
