"""Keeps the leases of the claims that run in this process, so that a slow hook runs once.

One thread for all of them. It starts with the first claim, and ends when there has been none for a while.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections

from jobs.conf import jobs_settings
from jobs.core import transitions
from jobs.exceptions import ClaimInProgress, JobError, StoreUnavailable
from jobs.job import Job
from jobs.logs import get_logger
from jobs.runtime.per_process import per_process

logger = get_logger(__name__)

RENEWALS = 3  # in the time of one lease, so that a lease outlives a renewal that fails


def take_lease(job: Job, token: str, seconds: float | None = None) -> bool:
    """Keep others from claiming an ended job, for `READY_LEASE` or so many seconds.

    Returns whether this token holds the lease now; the same token prolongs it. Raises `JobEnded`
    if the job cannot be claimed: it has not ended, or it has been claimed.
    """
    try:
        job.apply(transitions.lease(token, seconds or jobs_settings().READY_LEASE))
    except ClaimInProgress:
        return False
    return True


def give_back(job: Job, token: str) -> None:
    """End a lease before its time. Raises `JobEnded` if another token holds it."""
    job.apply(transitions.release(token))


class LeaseKeeper:
    """Prolongs leases until their claims are done."""

    def __init__(self) -> None:
        self._held: dict[str, Job] = {}  # by the lease's token
        self._lock = threading.Lock()
        self._is_running = False

    @contextmanager
    def keep(self, job: Job, token: str) -> Iterator[None]:
        """Prolong the lease of a job as long as this runs; nothing happens once the lease is another's."""
        with self._lock:
            self._held[token] = Job(job.record, job.now)  # the hook may use its own
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, name="jobs-leases", daemon=True).start()
        try:
            yield
        finally:
            with self._lock:
                self._held.pop(token, None)

    def _run(self) -> None:
        pause = threading.Event()
        try:
            while self._has_more():
                pause.wait(jobs_settings().READY_LEASE / RENEWALS)
                for token, job in list(self._held.items()):
                    self._renew(token, job)
        finally:
            connections.close_all()

    def _renew(self, token: str, job: Job) -> None:
        try:
            if take_lease(job, token):
                return
            logger.warning("job %s: its lease ran out during the claim and is another's", job.id)
        except StoreUnavailable as error:
            logger.warning("job %s: its lease was not prolonged: %s", job.id, error)
            return
        except JobError as error:
            logger.info("job %s: its lease is not prolonged any more: %s", job.id, error)
        with self._lock:
            self._held.pop(token, None)

    def _has_more(self) -> bool:
        with self._lock:
            self._is_running = bool(self._held)
            return self._is_running


@per_process(reset_on="JOBS")
def lease_keeper() -> LeaseKeeper:
    """Return this process's keeper."""
    return LeaseKeeper()
