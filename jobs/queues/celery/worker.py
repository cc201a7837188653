"""What the worker's parent process does for jobs: it sees the deaths that a task cannot tell of, and keeps the heart
beating for tasks that are silent, busy, or hold the interpreter's lock.

No hook of Celery's covers every death of a task: a hard time limit and a killed child are seen by `on_failure`, a
revoke by a signal; a killed parent by nobody, so then the job's deadline passes and its first reader finds it lost.
What is seen of a process ends only the attempt that it was working on.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from billiard.einfo import ExceptionWithTraceback
from celery.exceptions import Ignore, Reject, Retry, TimeLimitExceeded
from celery.signals import task_revoked, task_unknown, worker_ready
from celery.worker import state as worker_state
from celery.worker.request import Request
from django.db import connections
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from jobs.conf import jobs_settings
from jobs.core.record import Record, host_of, runner_name
from jobs.exceptions import JobError, StoreUnavailable
from jobs.job import Job
from jobs.logs import get_logger
from jobs.repository import JobRepository
from jobs.runtime.backlog import backlog, backlog_for
from jobs.runtime.forking import no_fork
from jobs.runtime.per_process import per_process
from jobs.states import JobState
from jobs.store import records  # noqa: F401 - a worker that has loaded `remote` answers the doctor
from jobs.store.neighbours import leave_marker
from jobs.store.records import Outcome

from .deathwatch import Deathwatch
from .headers import HEADER, PART, record_in

logger = get_logger(__name__)

INTERRUPTED = _("The work was interrupted before it was done.")
TOO_LONG = _("The work took too long and was stopped.")
NOBODY = "nobody"  # the runner whose end concerns only a job that has not been started


class JobRequest(Request):
    """Celery's request of a task, in the parent; only `on_accepted`, `on_failure`, `on_timeout` can be built upon."""

    _is_requeued = False

    @property
    def job_id(self) -> str:
        """The job that this run is, or is a part of; "" if nobody waits for it."""
        whole: str = self.request_dict.get(PART) or ""
        return whole or (self.id if self.request_dict.get(HEADER) else "")

    def running(self, known: Record | None) -> Record | None:
        """Return how the job must look while this run goes on, by what is known of it or else by its message."""
        header = self.request_dict.get(HEADER)
        record = record_in(self.id, header, self.kwargs) if known is None and header else known
        if record is None or record.state not in (JobState.PENDING, JobState.RETRYING):
            return record
        return record.replace(
            state=JobState.RUNNING, attempt=record.attempt + 1, runner=self.runner
        )

    @property
    def runner(self) -> str:
        """The process that this run is given to; "" for a part of a canvas, which shares its job with others."""
        return "" if self.request_dict.get(PART) else runner_name(self.hostname, self.worker_pid)

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        """Start the heart with the first job, and keep an eye on the process."""
        super().on_accepted(pid, time_accepted)
        if self.job_id:
            heart().start()
            deathwatch().watch(pid)

    def on_failure(
        self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False
    ) -> None:
        """End the job unless its task will run again; one that the child has ended stays as it is."""
        super().on_failure(exc_info, send_failed_event, return_ok)
        reason = exc_info.exception
        if isinstance(reason, ExceptionWithTraceback):
            reason = reason.exc
        runs_again = isinstance(reason, Retry) or self._is_requeued or self._already_cancelled
        if self.job_id and not runs_again and not self._already_revoked:
            error = TOO_LONG if isinstance(reason, TimeLimitExceeded) else INTERRUPTED
            was_told = isinstance(reason, Ignore | Reject)  # by the child, if it has begun
            end_later(self.job_id, JobState.FAILED, error, NOBODY if was_told else self.runner)

    def cancel(self, *args: Any, **options: Any) -> None:
        """End the job when a worker that is shut down cold kills its task, unless the message will come again."""
        super().cancel(*args, **options)
        if self.job_id and self.acknowledged:
            end_later(self.job_id, JobState.FAILED, INTERRUPTED, self.runner)

    def reject(self, requeue: bool = False) -> None:
        """Notice that the message goes back to the queue."""
        self._is_requeued = requeue
        super().reject(requeue)


class Heart:
    """Puts off the deadlines of the jobs that run in this worker, from one thread, as long as there are any.

    It also knows how their records looked, and writes them anew if Redis has lost them.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._requests: dict[str, JobRequest] = {}
        self._known: dict[str, Record] = {}

    def start(self) -> None:
        """Beat from now on; may be called twice."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="jobs-heart", daemon=True)
            self._thread.start()

    def beat(self, job_ids: list[str]) -> None:
        """Give one sign of life for each job whose attempt this worker has."""
        self._known = {
            job_id: record for job_id, record in self._known.items() if job_id in job_ids
        }
        for job_id, outcome in zip(job_ids, records.read_all(job_ids), strict=True):
            known = self._known.get(job_id)
            is_lost = outcome.record is None or (
                known is not None and outcome.record.version < known.version
            )
            if outcome.record is not None and not is_lost:
                self._known[job_id] = outcome.record
            elif lost := self._running(job_id, known):
                _restore(lost, outcome)
        if held := [job_id for job_id in job_ids if self._holds(job_id)]:
            records.beat(held, jobs_settings().LOST_AFTER)

    def _holds(self, job_id: str) -> bool:
        """Say whether the attempt is this worker's, as far as we know.

        A message that is delivered again is at another worker for a moment, whose heart says nothing
        about the first one.
        """
        request, record = self._requests.get(job_id), self._known.get(job_id)
        return (
            request is None or record is None or host_of(record.runner) == host_of(request.runner)
        )

    def _running(self, job_id: str, known: Record | None) -> Record | None:
        request = self._requests.get(job_id)
        return request.running(known) if request else known

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            active = list(worker_state.active_requests)
            self._requests = {
                request.job_id: request for request in active if getattr(request, "job_id", "")
            }
            try:
                if self._requests:
                    self.beat(list(self._requests))
            except JobError as error:
                logger.warning("no heartbeat for %d jobs: %s", len(self._requests), error)
            except Exception:
                logger.exception("no heartbeat for %d jobs", len(self._requests))
            pause.wait(jobs_settings().HEARTBEAT)


def _restore(lost: Record, found: Outcome) -> None:
    with no_fork():
        try:
            Job(lost).stored.restore(found, keep_version=True)
        finally:
            connections.close_all()


def end_later(
    job_id: str, state: JobState, error: str | Promise = "", runner: str | None = None
) -> None:
    """End a job from the parent, in a thread, so that a slow Redis or database never holds the worker up.

    With a `runner`, only if that process has the job's present attempt, or nobody has started it;
    "" ends what no process has.
    """
    end = partial(_end, job_id, state, error, runner)
    _executor().submit(_end_when_store_answers, end)


def _end_when_store_answers(end: Callable[[], None]) -> None:
    try:
        with no_fork():
            end()
    except StoreUnavailable:
        backlog().add(end)


def _end(job_id: str, state: JobState, error: str | Promise, runner: str | None) -> None:
    try:
        job = JobRepository().find(job_id)
        if job.is_ended:
            return
        if runner not in (None, job.record.runner) and job.state is not JobState.PENDING:
            if runner not in ("", NOBODY):
                logger.info("job %s: not %s: it is no longer run by %s", job_id, state, runner)
            return
        with translation.override(job.language or None):
            _end_found(partial(job.end, state, str(error), records.new_mark()))
    except StoreUnavailable:
        raise
    except JobError as problem:
        logger.warning("job %s: not %s: %s", job_id, state, problem)
    finally:
        connections.close_all()


def _end_found(end: Callable[[], None]) -> None:
    """End a job; when the store answers again, the same write is repeated, which it recognises if it was done."""
    try:
        end()
    except StoreUnavailable as problem:
        backlog_for(problem).add(end)


def _on_revoked(request: Any, expired: bool, **_: Any) -> None:
    headers = getattr(request, "headers", None) or {}
    if headers.get(HEADER) or headers.get(PART):
        job_id = headers.get(PART) or request.id
        if expired:  # perhaps only a second delivery of a message whose job runs elsewhere
            end_later(job_id, JobState.EXPIRED, runner="")
        else:
            end_later(job_id, JobState.CANCELLED)


def _on_unknown(message: Any, id: str, **_: Any) -> None:  # noqa: A002 - Celery's name
    if message.headers.get(HEADER) or message.headers.get(PART):
        end_later(message.headers.get(PART) or id, JobState.FAILED, INTERRUPTED, runner="")


@per_process
def heart() -> Heart:
    """Return this process's heart."""
    return Heart()


@per_process
def deathwatch() -> Deathwatch:
    """Return the watch over this worker's processes."""
    return Deathwatch()


def _on_ready(sender: Any, **_: Any) -> None:
    deathwatch().look = sender.pool.maintain_pool
    _executor().submit(leave_marker)


@per_process
def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="jobs-parent")


worker_ready.connect(_on_ready, dispatch_uid="jobs.worker", weak=False)
task_unknown.connect(_on_unknown, dispatch_uid="jobs.worker", weak=False)
task_revoked.connect(_on_revoked, dispatch_uid="jobs.worker", weak=False)
