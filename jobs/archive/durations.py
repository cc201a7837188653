"""How long jobs of a kind usually take, from the archive: one indexed query a minute for each handler and process."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from time import monotonic
from typing import NamedTuple

from jobs.conf import jobs_settings
from jobs.logs import get_logger
from jobs.models import JobRecord
from jobs.states import JobState

from .database_time import seconds_between

logger = get_logger(__name__)

SAMPLE = 50  # jobs of a kind that ended last
ENOUGH = 5  # of them; fewer say nothing about what is usual
FRESH = 60.0  # seconds until the archive is asked again

Row = tuple[str, datetime, datetime | None, datetime]


class Usual(NamedTuple):
    """Seconds that half of the jobs, and nine of ten, needed at most; None where too little is known."""

    wait_p50: float | None = None
    wait_p90: float | None = None
    run_p50: float | None = None
    run_p90: float | None = None

    def __str__(self) -> str:
        """Return them as the page's script reads them: four words, `-` for what is not known."""
        return " ".join("-" if seconds is None else f"{seconds:.1f}" for seconds in self)


_known: dict[str, tuple[float, Usual]] = {}


def usual(handler_class: str) -> Usual:
    """Return how long jobs with this handler have waited for a worker, and then run until they were complete.

    A page must not fail for it: with no archive, or one that cannot be read, nothing is known.
    """
    if not jobs_settings().ARCHIVE:
        return Usual()
    asked_at, known = _known.get(handler_class, (float("-inf"), Usual()))
    if monotonic() - asked_at >= FRESH:
        known = _ask(handler_class)
        _known[handler_class] = (monotonic(), known)
    return known


def forget() -> None:
    """Ask the archive again, whatever was known."""
    _known.clear()


def _ask(handler_class: str) -> Usual:
    newest = JobRecord.objects.filter(handler_class=handler_class).order_by("-ended_at")
    try:
        rows = list(newest.values_list("state", "created_at", "started_at", "ended_at")[:SAMPLE])
    except Exception:
        logger.exception("the archive could not be read for the usual times of %s", handler_class)
        return Usual()
    return _of(rows)


def _of(rows: Sequence[Row]) -> Usual:
    waits = sorted(
        seconds_between(created, started) for _state, created, started, _ended in rows if started
    )
    runs = sorted(
        seconds_between(started, ended)
        for state, _, started, ended in rows
        if started and state == JobState.COMPLETE
    )
    return Usual(_share(waits, 0.5), _share(waits, 0.9), _share(runs, 0.5), _share(runs, 0.9))


def _share(seconds: Sequence[float], share: float) -> float | None:
    """Return the value that this share of them does not exceed; clocks that disagree make no time negative."""
    if len(seconds) < ENOUGH:
        return None
    return max(0.0, seconds[min(len(seconds) - 1, int(len(seconds) * share))])
