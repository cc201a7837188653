"""How long the jobs of a handler usually wait and run, from the archive.

Each process asks at most once a minute for each handler, with one query that uses an index.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from math import inf
from time import monotonic
from typing import NamedTuple

from jobs.conf import jobs_settings
from jobs.logs import get_logger
from jobs.models import JobRecord
from jobs.states import JobState

from .database_time import seconds_between

logger = get_logger(__name__)

SAMPLE_SIZE = 50  # newest ended jobs of a handler
MIN_SAMPLE = 5  # fewer say nothing about what is usual
CACHE_SECONDS = 60.0  # until the archive is asked again

Row = tuple[str, datetime, datetime | None, datetime]


class Durations(NamedTuple):
    """Seconds that half (p50) and nine tenths (p90) of the jobs need at most; None if unknown."""

    wait_p50: float | None = None
    wait_p90: float | None = None
    run_p50: float | None = None
    run_p90: float | None = None

    def __str__(self) -> str:
        """Return the form that the page's script reads: four words, `-` for an unknown one."""
        return " ".join("-" if seconds is None else f"{seconds:.1f}" for seconds in self)


_cache: dict[str, tuple[float, Durations]] = {}  # by handler, with the moment of the query


def typical_durations(handler_class: str) -> Durations:
    """Return how long a handler's jobs wait for a worker, and then run until they are complete.

    Never fails, because a page needs it: nothing is known without an archive, or if it cannot be
    read.
    """
    if not jobs_settings().ARCHIVE:
        return Durations()
    asked_at, durations = _cache.get(handler_class, (-inf, Durations()))
    if monotonic() - asked_at >= CACHE_SECONDS:
        durations = _query(handler_class)
        _cache[handler_class] = (monotonic(), durations)
    return durations


def forget() -> None:
    """Empty the cache, so that the archive is asked again."""
    _cache.clear()


def _query(handler_class: str) -> Durations:
    newest = JobRecord.objects.filter(handler_class=handler_class).order_by("-ended_at")
    try:
        rows = list(
            newest.values_list("state", "created_at", "started_at", "ended_at")[:SAMPLE_SIZE]
        )
    except Exception:
        logger.exception("the archive could not be read for the durations of %s", handler_class)
        return Durations()
    return _summary(rows)


def _summary(rows: Sequence[Row]) -> Durations:
    waits = sorted(
        seconds_between(created, started) for _state, created, started, _ended in rows if started
    )
    runs = sorted(
        seconds_between(started, ended)
        for state, _created, started, ended in rows
        if started and state == JobState.COMPLETE
    )
    return Durations(
        _quantile(waits, 0.5), _quantile(waits, 0.9), _quantile(runs, 0.5), _quantile(runs, 0.9)
    )


def _quantile(seconds: Sequence[float], share: float) -> float | None:
    """Return what this share of the values does not exceed, but never a negative time.

    Two clocks that disagree could give one.
    """
    if len(seconds) < MIN_SAMPLE:
        return None
    return max(0.0, seconds[min(len(seconds) - 1, int(len(seconds) * share))])
