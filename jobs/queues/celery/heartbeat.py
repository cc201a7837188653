"""The heartbeat of a worker's jobs. It comes from a thread of the parent process.

So it goes on for tasks that are silent, busy, or hold the interpreter's lock.
"""

import threading
from collections.abc import Iterable
from typing import Any, Protocol

from celery.worker import state as worker_state
from django.db import connections

from jobs.conf import jobs_settings
from jobs.core.record import Record, host_of
from jobs.exceptions import JobError
from jobs.job import Job
from jobs.logs import get_logger
from jobs.runtime.forking import no_fork
from jobs.runtime.per_process import per_process
from jobs.store import records
from jobs.store.records import Outcome

logger = get_logger(__name__)


class RunningRequest(Protocol):
    """What the heart needs of a `JobRequest`."""

    @property
    def job_id(self) -> str:
        """The job that it runs; "" if nobody waits for it."""

    @property
    def runner(self) -> str:
        """The process that it was given to."""

    def running(self, known: Record | None) -> Record | None:
        """Return the record of the job while it runs."""


class Heart:
    """Moves the deadlines of the jobs that run in this worker, for as long as they run.

    It remembers their records, and writes one back if Redis has lost it.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._requests: dict[str, RunningRequest] = {}
        self._known: dict[str, Record] = {}

    def start(self) -> None:
        """Beat from now on; may be called twice."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="jobs-heart", daemon=True)
            self._thread.start()

    def watch(self, active: Iterable[Any]) -> None:
        """Remember those of the worker's active requests that run jobs."""
        self._requests = {
            request.job_id: request for request in active if getattr(request, "job_id", "")
        }

    def beat(self, job_ids: list[str]) -> None:
        """Give one heartbeat for each job whose attempt this worker has."""
        self._known = {
            job_id: record for job_id, record in self._known.items() if job_id in job_ids
        }
        for job_id, outcome in zip(job_ids, records.read_all(job_ids), strict=True):
            self._remember_or_restore(job_id, outcome)
        if held := [job_id for job_id in job_ids if self._holds(job_id)]:
            records.beat(held, jobs_settings().LOST_AFTER)

    def _remember_or_restore(self, job_id: str, outcome: Outcome) -> None:
        found, known = outcome.record, self._known.get(job_id)
        if found is not None and (known is None or found.version >= known.version):
            self._known[job_id] = found
        elif lost := self._running(job_id, known):
            _restore(lost, outcome)

    def _holds(self, job_id: str) -> bool:
        """Return whether this worker has the attempt, as far as it knows.

        A message that is delivered again is at another worker for a moment. That worker's heart
        says nothing about the first one.
        """
        request, record = self._requests.get(job_id), self._known.get(job_id)
        if request is None or record is None:
            return True
        return host_of(record.runner) == host_of(request.runner)

    def _running(self, job_id: str, known: Record | None) -> Record | None:
        request = self._requests.get(job_id)
        return request.running(known) if request else known

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            self.watch(list(worker_state.active_requests))
            try:
                if self._requests:
                    self.beat(list(self._requests))
            except JobError as error:
                logger.warning("no heartbeat for %d jobs: %s", len(self._requests), error)
            except Exception:
                logger.exception("no heartbeat for %d jobs", len(self._requests))
            pause.wait(jobs_settings().HEARTBEAT)


@per_process
def heart() -> Heart:
    """Return this process's heart."""
    return Heart()


def _restore(lost: Record, found: Outcome) -> None:
    with no_fork():
        try:
            Job(lost).stored.restore(found, keep_version=True)
        finally:
            connections.close_all()
