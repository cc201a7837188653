"""Renews the leases of the claims that run in this process, so that a slow hook runs only once.

One thread renews all of them. It starts with the first claim, and ends when no claim is left.
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

RENEWALS_PER_LEASE = 3  # more than one, so that a lease survives a renewal that fails


def take_lease(job: Job, token: str, seconds: float | None = None) -> bool:
    """Keep others from claiming an ended job, for `seconds` or else for `READY_LEASE`.

    Returns whether this token holds the lease now. A token that holds it renews it. Raises
    `JobEnded` if the job cannot be claimed: it has not ended, or it has been claimed.
    """
    try:
        job.apply(transitions.lease(token, seconds or jobs_settings().READY_LEASE))
    except ClaimInProgress:
        return False
    return True


def give_back(job: Job, token: str) -> None:
    """End a lease early, so that the next claim need not wait.

    Raises `JobEnded` if another token holds it.
    """
    job.apply(transitions.release(token))


class LeaseKeeper:
    """Renews leases in a thread until their claims are done."""

    def __init__(self) -> None:
        self._held: dict[str, Job] = {}  # by the lease's token
        self._lock = threading.Lock()
        self._is_running = False

    @contextmanager
    def keep(self, job: Job, token: str) -> Iterator[None]:
        """Renew the lease of a job inside this block, until another token has it."""
        with self._lock:
            self._held[token] = Job(job.record, job.now)  # the hook may change its own
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
            while self._has_leases():
                pause.wait(jobs_settings().READY_LEASE / RENEWALS_PER_LEASE)
                for token, job in list(self._held.items()):
                    self._renew(token, job)
        finally:
            connections.close_all()

    def _renew(self, token: str, job: Job) -> None:
        try:
            if take_lease(job, token):
                return
            logger.warning("job %s: the claim took too long, and another has the lease", job.id)
        except StoreUnavailable as error:
            logger.warning("job %s: the lease was not renewed, retrying: %s", job.id, error)
            return
        except JobError as error:
            logger.info("job %s: the lease is no longer renewed: %s", job.id, error)
        with self._lock:
            self._held.pop(token, None)

    def _has_leases(self) -> bool:
        with self._lock:
            self._is_running = bool(self._held)
            return self._is_running


@per_process(reset_on="JOBS")
def lease_keeper() -> LeaseKeeper:
    """Return the lease keeper of this process."""
    return LeaseKeeper()
