"""Retries writes that the store or the archive did not take, until they succeed.

This process has four backlogs, each with a thread that runs while there is something to write.
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

RETRY_PAUSE = 1.0  # seconds between two tries
MAX_WITHDRAWALS = 1000  # jobs; the others stay in Redis until they expire


class Backlog:
    """Runs actions in another thread, each until it no longer raises `retry_on`.

    Actions above the limit are dropped. An ordered backlog runs an action only after the one
    before it has succeeded. In any other, the rest goes on while one action has to wait.
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
        """Run the action soon. Any error other than `retry_on` is logged, and ends the action."""
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
                sleep(RETRY_PAUSE)
            else:
                with self._lock:
                    self._actions.rotate(-1)
                sleep(RETRY_PAUSE / len(self._actions))

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
    """Return this process's backlog of writes to the store."""
    return Backlog()


@per_process
def leased_backlog() -> Backlog:
    """Return this process's backlog of writes that wait until a claim of their job ends."""
    return Backlog(is_ordered=False)


def backlog_for(problem: StoreUnavailable) -> Backlog:
    """Return the backlog for a write that failed with this problem."""
    return leased_backlog() if isinstance(problem, ClaimInProgress) else backlog()


@per_process
def archive_backlog() -> Backlog:
    """Return this process's backlog of writes to the archive."""
    return Backlog(DatabaseError)


@per_process
def withdrawals() -> Backlog:
    """Return this process's backlog of jobs to withdraw, because their creation got no answer."""
    return Backlog(limit=MAX_WITHDRAWALS)
