"""One attempt of a task in a worker: the one place where a job is started, completed, failed, cancelled or retried."""

import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, TypeVar

from celery.exceptions import Ignore, Reject, Retry, SoftTimeLimitExceeded, TaskPredicate
from django.utils import translation
from django.utils.translation import gettext as _

from jobs.conf import jobs_settings
from jobs.core.record import Record, host_of, runner_name
from jobs.exceptions import (
    JobCancelled,
    JobError,
    JobNotFound,
    JobRunning,
    StoreUnavailable,
    is_cancel,
)
from jobs.job import Job
from jobs.lifecycle.detached_record import DetachedRecord
from jobs.logs import get_logger, logs_of
from jobs.queues.task_functions import finished
from jobs.repository import JobRepository, is_id
from jobs.runtime.backlog import backlog_for
from jobs.states import JobState
from jobs.store import records

from .headers import HEADER, PART, delay_of, header_of, is_whole, record_in
from .parts import begin_part, finish_part
from .run import Run, going_on

if TYPE_CHECKING:
    from jobs.tasks import JobTask

logger = get_logger(__name__)

T = TypeVar("T")

LEAST_PAUSE = 0.1  # seconds until a message that was put back comes again, at least
OUTAGE_PAUSE = (
    5.0  # seconds until a task that could not be started without the store is tried again
)
DEATHS = (
    3  # redeliveries after which a task without max_retries is taken for one that kills its worker
)

_here: dict[str, "Attempt"] = {}  # the attempts that go on in this process, by their jobs' ids


class Attempt:
    """The present run of a task: for a job, for a part of a canvas, or for nobody who waits."""

    def __init__(self, task: "JobTask") -> None:
        self._task = task
        self._request = task.request

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the task and tell the job how it goes; raise what Celery has to know."""
        headers = self._request.headers or {}
        if headers.get(PART):
            with logs_of(headers[PART]):
                return self._as_part(headers[PART], args, kwargs)
        if HEADER not in headers:
            self._send_again_as_job()
        if not headers.get(HEADER):
            return self._work(Run(detached_job(self._request.id)), args, kwargs)
        with logs_of(self._request.id):
            try:
                job = self._started_job()
                with translation.override(job.language or None):
                    return self._with_job(job, args, kwargs)
            finally:
                self._leave()

    def _send_again_as_job(self) -> None:
        """Send a message from `app.send_task` once more, with our header, if its id is a stored job's.

        The worker's parent watches over a job only if the message's header names it.
        `JobTask.apply_async` marks plain tasks, so they cost no read here.
        """
        if self._request.is_eager:
            return
        try:
            header = header_of_stored(self._request.id, self._request.kwargs)
        except StoreUnavailable as error:
            logger.warning("run as a plain task: %s", error)
            return
        if header:
            headers = {**(self._request.headers or {}), HEADER: header}
            self._task.signature_from_request(self._request, headers=headers).apply_async()
            raise Ignore

    def _with_job(self, job: Job, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        run = Run(job, job)
        try:
            result = self._work(run, args, kwargs)
        except Retry as retry:
            self._retry_later(
                job, self._task.default_retry_delay if retry.when is None else retry.when
            )
            raise
        except Reject as rejected:
            if rejected.requeue:
                self._retry_later(job, 0)
            raise
        if not run.is_replaced:
            end(job, JobState.COMPLETE)
        return result

    def _as_part(self, job_id: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a part of a canvas; the job as a whole fails with the first part that does."""
        try:
            job = self._when_possible(lambda: JobRepository().find(job_id))
            self._when_possible(lambda: begin_part(job))
        except JobCancelled:
            end(JobRepository().find(job_id), JobState.CANCELLED)
            raise Ignore from None
        except JobError as error:
            logger.info("task not run: %s", error)
            raise Ignore from None
        run = Run(Job(job.record, kind=DetachedRecord), job)
        with translation.override(job.language or None):
            result = self._work(run, args, kwargs)
        if not run.is_replaced:
            unless_too_late(lambda: finish_part(job, self._request.id))
        return result

    def _work(self, run: Run, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the task's own code, and end the stored job if that goes wrong.

        A cancel becomes `Ignore`, because Celery ends the process for what is no `Exception`.
        """
        self._request.jobs_run = run  # for the task's own `after_return` and the like
        try:
            with going_on(run):
                return finished(self._task.run(*args, **kwargs))
        except Retry:
            raise
        except TaskPredicate as given_up:
            if not (isinstance(given_up, Reject) and given_up.requeue):
                self._failed(run, given_up)
            raise
        except Exception as error:
            self._failed(run, error)
            raise
        except BaseException as error:
            if not is_cancel(error):
                raise
            if run.stored is not None:
                end(run.stored, JobState.CANCELLED)
            raise Ignore from None

    def _failed(self, run: Run, error: Exception) -> None:
        if run.stored is not None and not run.is_replaced:
            end(run.stored, JobState.FAILED, explain(run.stored, error))

    def _started_job(self) -> Job:
        try:
            job = self._when_possible(self._start)
            redeliveries = job.attempt - 1 - self._request.retries
            if job.is_cancel_asked:  # of an attempt that did not live to hear it
                job.end(JobState.CANCELLED)
            elif redeliveries > (
                DEATHS if self._task.max_retries is None else self._task.max_retries
            ):
                job.end(JobState.FAILED, _("The work was interrupted again and again."))
        except JobError as error:
            logger.info("task not run: %s", error)
            raise Ignore from None
        if job.is_ended:
            raise Ignore
        return job

    def _when_possible(self, action: Callable[[], T]) -> T:
        """Do what comes before the work; if it has to wait, put the message back for a while.

        It has to wait while the store is away, and while another worker runs the job. That second
        message must not be dropped, because it is the only one left if the other worker dies.
        While the broker is away too, there is no other work, so the process waits.
        """
        while True:
            try:
                return action()
            except (StoreUnavailable, JobRunning) as error:
                logger.warning("task not run yet: %s", error)
                if self._request.is_eager:
                    raise
                pause = self._pause(error)
            try:
                self._task.signature_from_request(self._request, countdown=pause).apply_async()
            except Exception:
                logger.warning("the broker does not take the task back", exc_info=True)
                sleep(pause)
            else:
                raise Retry("the job cannot be started yet", when=pause)

    def _pause(self, error: JobError) -> float:
        """Return the seconds until it is worth trying again.

        A Redis delivers a message that waits longer than its visibility timeout a second time.
        """
        pause = error.seconds_left if isinstance(error, JobRunning) else OUTAGE_PAUSE
        visible = self._task.app.conf.broker_transport_options.get("visibility_timeout")
        return max(LEAST_PAUSE, min(pause, visible / 2 if visible else pause))

    def _start(self) -> Job:
        """Start the job as its message describes it, which saves a read, or as it has become since.

        A job that is too large for its message is read first.
        """
        self._enter()
        header, kwargs = self._request.headers[HEADER], self._request.kwargs
        job = Job(record_in(self._request.id, header, kwargs))
        if job.state is JobState.PENDING and is_whole(header, kwargs):
            job.stored.trust_archive()
            with suppress(JobNotFound):
                self._begin(job)
                return job
        job = self._found(job)
        self._begin(job)
        return job

    def _begin(self, job: Job) -> None:
        """Take the attempt, also from a process of this worker that has died."""
        runner = runner_name(self._request.hostname, os.getpid())
        try:
            job.start(runner)
        except JobRunning:
            if not has_died(job.record.runner, self._request.hostname):
                raise
            job.start(runner, instead_of=job.record.runner)

    def _enter(self) -> None:
        """See to it that one thread or greenlet at a time runs the job in this process."""
        if _here.setdefault(self._request.id, self) is not self and not self._request.is_eager:
            raise JobRunning(
                f"Job {self._request.id} is run by this process.", jobs_settings().LOST_AFTER
            )

    def _leave(self) -> None:
        if _here.get(self._request.id) is self:
            del _here[self._request.id]

    def _found(self, sent: Job) -> Job:
        """Find the job, or write it anew as it was sent if Redis has lost it."""
        try:
            return JobRepository().find(sent.id)
        except JobNotFound:
            sent.stored.restore()
            return sent

    def _retry_later(self, job: Job, when: datetime | float) -> None:
        """Write down that the job waits for its next attempt, for which the message is on its way already."""
        due = monotonic() + delay_of({"eta" if isinstance(when, datetime) else "countdown": when})
        # what `retry(max_retries=…)` said last
        most = getattr(self._task, "override_max_retries", self._task.max_retries)

        def wait() -> None:
            job.retry(
                max(0.0, due - monotonic()),
                None if most is None else most + 1,
                self._task.start_timeout,
            )

        try:
            wait()
        except StoreUnavailable as problem:
            backlog_for(problem).add(wait)
        except JobError as error:  # the next attempt has begun, or the job has ended
            logger.info("job %s: not retrying: %s", job.id, error)


def header_of_stored(job_id: str, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes a message the task of a stored job, nothing for an id that no job has.

    Raises `StoreUnavailable`.
    """
    record = records.read(job_id).record if is_id(job_id) else None
    return {} if record is None else header_of(Job(record), kwargs)


def end(job: Job, state: JobState, error: str = "") -> None:
    """End a job, unless it has ended; what the store does not take is logged and does not raise."""
    if not job.is_ended:
        unless_too_late(lambda: job.end(state, error))


def unless_too_late(action: Callable[[], None]) -> None:
    """Do it; a job that has ended meanwhile is logged."""
    try:
        action()
    except JobError as problem:
        logger.warning("too late: %s", problem)


def detached_job(task_id: str | None = None) -> Job:
    """Return the job of a run that nobody waits for."""
    return Job(Record(id=task_id or "", state=JobState.RUNNING), kind=DetachedRecord)


def has_died(runner: str, hostname: str | None) -> bool:
    """Say whether a runner was a process of this worker and is gone.

    False for the processes of other workers, which may be on other machines.
    """
    pid = runner.rpartition("/")[2]
    if host_of(runner) != hostname or not pid.isdecimal() or os.name != "posix":
        return False
    try:
        os.kill(int(pid), 0)  # sends nothing
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def explain(job: Job, error: BaseException) -> str:
    """Return what the owner is told: a `JobError`'s text, else a neutral sentence and a reference to the log."""
    if isinstance(error, JobError):
        return str(error)
    if isinstance(error, TaskPredicate):
        return _("The work was interrupted before it was done.")
    if isinstance(error, SoftTimeLimitExceeded):
        return _("The work took too long and was stopped.")
    reference = secrets.token_hex(4)
    logger.error("job %s failed (reference %s)", job.id, reference, exc_info=error)
    return _(
        "Something went wrong. If you ask for help, please give this reference: %(reference)s."
    ) % {"reference": reference}
