"""From a draft to a stored job whose work is sent: when the surrounding transaction commits, or at once.

A draft with a unique key gives way to the job that holds the key. Inside a transaction that is found out at the
commit. By then the draft's address may have been given to a browser, so it goes on leading to the job that runs.
"""

from collections.abc import Callable, Mapping
from functools import partial

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.utils.translation import gettext_lazy as _

from jobs.exceptions import JobAlreadyRunning
from jobs.job import Job
from jobs.logs import get_logger
from jobs.repository import JobRepository
from jobs.states import JobState

from .celery.attempt import end
from .unique_keys import OWNER, digest_of, require_scope

logger = get_logger(__name__)

ALREADY_RUNNING = _("This work is already under way, so it was not started again.")


def submit(
    draft: Job,
    send: Callable[[], None],
    start_timeout: float | None = None,
    delay: float = 0,
    key: str = "",
    scope: str = OWNER,
) -> Job:
    """Store a draft, then send its work: both when the surrounding transaction commits, or at once. Return the draft.

    With a key the draft becomes the job that holds it, if one does, and nothing is sent. Raises `JobAlreadyRunning`
    if that is another owner's, and `ValueError` for a scope that there is not.
    """
    require_scope(scope)
    is_in_transaction = connections[DEFAULT_DB_ALIAS].in_atomic_block
    if key:
        draft.record = draft.record.replace(unique=digest_of(key, draft.owner, scope))
        if (
            is_in_transaction
            and (running := JobRepository().holder(draft.record.unique)) is not None
        ):
            _reuse(draft, running)
            return draft
    give_way = partial(_give_way, data=draft.record.data) if is_in_transaction else _reuse

    def store_and_send() -> None:
        standing = JobRepository().store_draft(draft, start_timeout, delay)
        if standing is draft:
            send()
        else:
            give_way(draft, standing)

    on_commit_or_now(store_and_send)
    return draft


def on_commit_or_now(action: Callable[[], None]) -> None:
    """Do it when the surrounding transaction of the default database commits, or at once if there is none."""
    if connections[DEFAULT_DB_ALIAS].in_atomic_block:
        transaction.on_commit(action)
    else:
        action()


def _reuse(draft: Job, running: Job) -> None:
    if running.owner != draft.owner:
        raise JobAlreadyRunning(str(ALREADY_RUNNING))
    draft.become(running)


def _give_way(draft: Job, running: Job, data: Mapping[str, str]) -> None:
    """Leave a draft's id to the job that runs; if that is another owner's, the draft becomes a failed job."""
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
