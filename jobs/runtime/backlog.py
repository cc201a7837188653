"""What could not be written while the store or the archive was away, kept by this process until it is taken.

One thread for each of the four, made when it is first needed and again in a forked child.
"""

import threading
from collections import deque
from collections.abc import Callable
from math import inf
from time import sleep

from django.db import DatabaseError, connections

from jobs.exceptions import ClaimInProgress, JobCancelled, JobError, StoreUnavailable
from jobs.logs import get_logger

from .forking import no_fork
from .per_process import per_process

logger = get_logger(__name__)

PAUSE = 1.0  # seconds between two tries
WITHDRAWALS = 1000  # jobs at most that are to be taken back; what is more expires


class Backlog:
    """Runs actions, each until it no longer raises `retry_on`; what is more than the limit is left undone.

    They run in order, unless one need not wait for another: then the rest goes on while the first cannot be done.
    """

    def __init__(
        self,
        retry_on: type[Exception] = StoreUnavailable,
        limit: float = inf,
        is_ordered: bool = True,
    ) -> None:
        self._retry_on = retry_on
        self._limit = limit
        self._is_ordered = is_ordered
        self._actions: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()
        self._is_running = False

    def add(self, action: Callable[[], None]) -> None:
        """Run it later, from another thread; what it raises besides is logged."""
        with self._lock:
            if len(self._actions) >= self._limit:
                return
            self._actions.append(action)
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, name="jobs-backlog", daemon=True).start()

    def _run(self) -> None:
        while self._has_more():
            if self._is_done(self._actions[0]):
                self._actions.popleft()
            elif self._is_ordered:
                sleep(PAUSE)
            else:
                with self._lock:
                    self._actions.rotate(-1)
                sleep(PAUSE / len(self._actions))

    def _is_done(self, action: Callable[[], None]) -> bool:
        with no_fork():
            try:
                action()
            except self._retry_on:
                return False
            except (JobError, JobCancelled) as error:
                logger.warning("written too late: %s", error)
            except Exception:
                logger.exception("a late write failed")
            finally:
                connections.close_all()
        return True

    def _has_more(self) -> bool:
        with self._lock:
            self._is_running = bool(self._actions)
            return self._is_running


@per_process
def backlog() -> Backlog:
    """Return this process's backlog of what the store shall take."""
    return Backlog()


@per_process
def leased_backlog() -> Backlog:
    """Return this process's backlog of what waits for the end of a claim; each job waits for its own."""
    return Backlog(is_ordered=False)


def backlog_for(problem: StoreUnavailable) -> Backlog:
    """Return the backlog for what the store did not take because of this problem."""
    return leased_backlog() if isinstance(problem, ClaimInProgress) else backlog()


@per_process
def archive_backlog() -> Backlog:
    """Return this process's backlog of what the archive shall take."""
    return Backlog(DatabaseError)


@per_process
def withdrawals() -> Backlog:
    """Return this process's backlog of jobs whose creation was not answered, and which the store shall take back."""
    return Backlog(limit=WITHDRAWALS)
