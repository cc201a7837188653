"""One delivery of a message to a worker: it starts the job, or is put back, or is dropped.

Brokers deliver a message again if its worker has died, and sometimes while the first one lives.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from time import sleep
from typing import Any, Self, TypeVar

from celery import Task
from celery.exceptions import Ignore, Retry
from django.utils.translation import gettext as _

from jobs.conf import jobs_settings
from jobs.core.record import host_of, runner_name
from jobs.exceptions import JobError, JobNotFound, JobRunning, StoreUnavailable
from jobs.job import Job
from jobs.logs import get_logger
from jobs.repository import JobRepository
from jobs.states import JobState

from .headers import HEADER, is_whole, record_in, stored_header

logger = get_logger(__name__)

T = TypeVar("T")

LEAST_PAUSE = 0.1  # seconds until a message that was put back comes again, at least
STORE_PAUSE = 5.0  # seconds until a task is tried again that could not start without the store
MAX_DEATHS = (
    3  # redeliveries of a task without max_retries; more, and it seems to kill its workers
)

_running_here: dict[str, "Delivery"] = {}  # what runs in this process, by the jobs' ids


class Delivery:
    """A message that has arrived, with the task that it is for; entered while its job may run."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._request = task.request

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if _running_here.get(self._request.id) is self:
            del _running_here[self._request.id]

    def send_again_if_stored(self) -> None:
        """Send a message from `app.send_task` again with our header, if its id is a stored job's.

        The worker's parent watches over a job only if the message's header names it.
        `JobTask.apply_async` marks plain tasks, so they cost no read here.
        """
        if self._request.is_eager:
            return
        try:
            header = stored_header(self._request.id, self._request.kwargs)
        except StoreUnavailable as error:
            logger.warning("run as a plain task: %s", error)
            return
        if header:
            headers = {**(self._request.headers or {}), HEADER: header}
            self._task.signature_from_request(self._request, headers=headers).apply_async()
            raise Ignore

    def start_job(self) -> Job:
        """Start the job and return it.

        Raises `Ignore` if it must not run, and `Retry` if the message was put back.
        """
        try:
            job = self.when_possible(self._start)
            if job.is_cancel_asked:  # of an attempt that did not live to notice it
                job.end(JobState.CANCELLED)
            elif self._redeliveries_of(job) > self._max_redeliveries:
                job.end(JobState.FAILED, _("The work was interrupted again and again."))
        except JobError as error:
            logger.info("task not run: %s", error)
            raise Ignore from None
        if job.is_ended:
            raise Ignore
        return job

    def when_possible(self, action: Callable[[], T]) -> T:
        """Run an action that comes before the work; put the message back if it has to wait.

        It has to wait while the store is down, and while another worker runs the job. That second
        message must not be dropped, because it is the only one left if the other worker dies.
        If the broker is down too, there is no other work, so the process waits.
        """
        while True:
            try:
                return action()
            except (StoreUnavailable, JobRunning) as error:
                logger.warning("task not run yet: %s", error)
                if self._request.is_eager:
                    raise
                pause = self._pause_after(error)
            try:
                self._task.signature_from_request(self._request, countdown=pause).apply_async()
            except Exception:
                logger.warning("the broker does not take the task back", exc_info=True)
                sleep(pause)
            else:
                raise Retry("the job cannot be started yet", when=pause)

    def _pause_after(self, error: JobError) -> float:
        """Return the seconds until the next try.

        Redis delivers a message a second time if it waits longer than the visibility timeout.
        """
        pause = error.seconds_left if isinstance(error, JobRunning) else STORE_PAUSE
        timeout: Any = self._task.app.conf.broker_transport_options.get("visibility_timeout")
        if timeout:
            pause = min(pause, timeout / 2)
        return max(LEAST_PAUSE, pause)

    def _start(self) -> Job:
        """Start the job as its message describes it, which saves a read.

        The job is read first if the message holds only a part of it, or if it has changed.
        """
        self._require_single_run()
        header, kwargs = self._request.headers[HEADER], self._request.kwargs
        job = Job(record_in(self._request.id, header, kwargs))
        if job.state is JobState.PENDING and is_whole(header, kwargs):
            job.stored.trust_archive()
            with suppress(JobNotFound):
                self._take_attempt(job)
                return job
        job = self._find(job)
        self._take_attempt(job)
        return job

    def _take_attempt(self, job: Job) -> None:
        """Start the job, also in place of a process of this worker that has died."""
        runner = runner_name(self._request.hostname, os.getpid())
        try:
            job.start(runner)
        except JobRunning:
            if not has_died(job.record.runner, self._request.hostname):
                raise
            job.start(runner, instead_of=job.record.runner)

    def _require_single_run(self) -> None:
        """Let only one thread or greenlet of this process run the job at a time."""
        first = _running_here.setdefault(self._request.id, self)
        if first is not self and not self._request.is_eager:
            raise JobRunning(
                f"Job {self._request.id} is run by this process.", jobs_settings().LOST_AFTER
            )

    def _find(self, sent: Job) -> Job:
        """Find the job; write it back as it was sent if Redis has lost it."""
        try:
            return JobRepository().find(sent.id)
        except JobNotFound:
            sent.stored.restore()
            return sent

    def _redeliveries_of(self, job: Job) -> int:
        retries: int = self._request.retries
        return job.attempt - 1 - retries

    @property
    def _max_redeliveries(self) -> int:
        most: int | None = self._task.max_retries
        return MAX_DEATHS if most is None else most


def has_died(runner: str, hostname: str | None) -> bool:
    """Return whether a runner was a process of this worker and is gone.

    False for the processes of other workers, which may be on other machines.
    """
    pid = runner.rpartition("/")[2]
    if host_of(runner) != hostname or not pid.isdecimal() or os.name != "posix":
        return False
    try:
        os.kill(int(pid), 0)  # sends nothing
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # somebody else's process, or no number of a process
        pass
    return False
