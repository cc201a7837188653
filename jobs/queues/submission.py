"""Stores a draft and sends its work, for every queue.

Another queue (RQ, dramatiq) stands beside Celery with four calls:

* `draft_for` makes the draft.
* `submit` stores it and calls the queue's `send`, which enqueues the work under the draft's id.
  `send` must not raise: if the queue takes nothing, it fails the job with `outcome.end`.
* Where the work runs, `job.start(runner)` begins it. It must not run if that raises. The process
  then gives a heartbeat (`records.beat`) at least every `LOST_AFTER` seconds.
* `outcome.end_after` ends the job, also after an error and after a cancel.

A queue that gives its tasks ids of its own, such as `django.tasks`, enqueues first. It then stores
the job under that id with `store_enqueued`.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from jobs.access import owner_of
from jobs.exceptions import JobAlreadyRunning
from jobs.job import Job
from jobs.logs import get_logger
from jobs.repository import HandlerClass, JobRepository
from jobs.runtime.replaceable import replaceable
from jobs.states import JobState

from .outcome import end
from .unique_keys import OWNER, digest_of, require_scope

logger = get_logger(__name__)

ALREADY_RUNNING = _("This work is already under way, so it was not started again.")


def draft_for(
    request: HttpRequest | None,
    handler_class: HandlerClass,
    *,
    data: Mapping[str, Any] | None,
    tags: Iterable[str],
    owner: Any,
    job_id: str | None = None,
) -> Job:
    """Return a job that is checked in every way but not stored yet.

    Its owner is the request's user or visitor, unless an owner is given.
    """
    if owner is None and request is not None:
        owner = owner_of(request)
    return JobRepository().draft(job_id, handler_class, owner, tags, data or {})


def submit(
    draft: Job,
    send: Callable[[], None],
    *,
    start_timeout: float | None = None,
    delay: float = 0,
    key: str = "",
    scope: str = OWNER,
) -> Job:
    """Store the draft, then send its work: both on commit, or at once outside a transaction.

    Returns the draft. If another job holds its key, the draft becomes that job, and nothing is
    sent. Inside a transaction this may only turn out at the commit. A browser may know the draft's
    address by then, so the address keeps leading to the job that runs.

    Raises `JobAlreadyRunning` if the other job is another owner's, and `ValueError` for an unknown
    scope.
    """
    require_scope(scope)
    is_in_transaction = _is_in_transaction()
    if key:
        unique = digest_of(key, draft.owner, scope)
        draft.record = draft.record.replace(unique=unique)
        if is_in_transaction and (running := JobRepository().holder(unique)) is not None:
            _reuse(draft, running)
            return draft
    give_way = partial(_give_way, data=draft.record.data) if is_in_transaction else _reuse

    def store_and_send() -> None:
        stored = JobRepository().store_draft(draft, start_timeout, delay)
        if stored is draft:
            send()
        else:
            give_way(draft, stored)

    on_commit_or_now(store_and_send)
    return draft


def store_enqueued(draft: Job, job_id: str) -> Job:
    """Store a draft at once, as the job of a task that its queue has enqueued under this id."""
    return JobRepository().create(
        job_id, draft.handler_class, draft.owner, draft.tags, dict(draft.data)
    )


@replaceable
def on_commit_or_now(action: Callable[[], None]) -> None:
    """Run the action when the default database's transaction commits, or now if none is open."""
    if _is_in_transaction():
        transaction.on_commit(action)
    else:
        action()


def _is_in_transaction() -> bool:
    return connections[DEFAULT_DB_ALIAS].in_atomic_block


def _reuse(draft: Job, running: Job) -> None:
    if running.owner != draft.owner:
        raise JobAlreadyRunning(str(ALREADY_RUNNING))
    draft.become(running)


def _give_way(draft: Job, running: Job, data: Mapping[str, str]) -> None:
    """Let the draft's id lead to the running job; fail the draft if that is another owner's."""
    if running.owner != draft.owner:
        draft.record = draft.record.replace(unique="")
        JobRepository().store_draft(draft)
        end(draft, JobState.FAILED, str(ALREADY_RUNNING))
        return
    JobRepository().store_alias(draft, running)
    written = draft.record.data
    dropped = sorted(key for key in {*written, *data} if written.get(key) != data.get(key))
    if dropped:
        logger.warning(
            "job %s: job %s runs in its place, so data %s is dropped",
            draft.id,
            running.id,
            dropped,
        )
    draft.become(running)
