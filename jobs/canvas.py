"""One job for a whole canvas: a group, a chain or a chord of `JobTask`s.

Its progress is the number of parts that have ended. It is ready when the last part has ended, and
fails with the first part that fails. The parts are ordinary tasks with a header that names the
job, so no result backend is needed (except by a chord itself).
"""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from celery.canvas import Signature
from django.http import HttpRequest

from .handlers import JobHandler
from .job import Job
from .queues.celery.canvas_parts import assign_to_job, parts_of
from .queues.celery.sending import send_canvas
from .queues.submission import draft_for, submit
from .queues.unique_keys import OWNER, key_given
from .repository import HandlerClass
from .states import JobState
from .tasks import JobTask


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
    """Start a canvas as one job; times, errors and guarantees are those of `JobTask.submit_job`.

    A part whose process dies fails the job. While parts wait in the queue, `START_TIMEOUT` counts
    from the last sign of life. Inside a part, `self.job` is stored nowhere. Raises `TypeError` for
    a part that is no `JobTask`. An empty canvas is complete at once.
    """
    canvas = canvas.clone()
    parts = parts_of(canvas, JobTask)
    draft = draft_for(request, handler_class, data=data, tags=tags, owner=owner)
    draft.record = draft.record.replace(total=len(parts) or None)
    assign_to_job(parts, draft.id)
    send = partial(send_canvas, draft, canvas) if parts else partial(draft.end, JobState.COMPLETE)
    key = "" if unique is None else key_given(unique)
    return submit(draft, send, key=key, scope=unique_scope)
