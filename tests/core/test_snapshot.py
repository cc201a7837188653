"""A job as it was when it was read: progress, times, and what can be told without asking again."""

from datetime import UTC, datetime
from time import monotonic

import pytest

from jobs.core.record import Record
from jobs.core.snapshot import JobSnapshot
from jobs.states import JobState

NOON = 1_793_534_400_000_000
SECOND = 1_000_000


def known(now=NOON, **values):
    return JobSnapshot(
        Record("parcel-1", **{"state": JobState.RUNNING, "version": NOON} | values), now
    )


@pytest.mark.parametrize(
    ("current", "total", "percent"),
    [
        (0, 10, 0),
        (3, 10, 30),
        (1, 3, 33),
        (2, 3, 66),
        (999, 1000, 99),
        (10, 10, 99),
        (15, 10, 99),
        (-5, 10, 0),
        (0.5, 1, 50),
        (3, None, None),
        (3, 0, None),
        (0, None, None),
    ],
)
def test_percent_is_rounded_down_and_never_100_before_the_end(current, total, percent):
    assert known(current=current, total=total).progress == (current, total, percent, "")


@pytest.mark.parametrize(("current", "total"), [(0, None), (3, 10), (10, 10)])
def test_percent_is_100_when_the_job_is_complete(current, total):
    assert known(state=JobState.COMPLETE, current=current, total=total).progress.percent == 100


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED, JobState.LOST])
def test_percent_stays_where_it_was_at_any_other_end(state):
    assert known(state=state, current=3, total=10).progress.percent == 30


def test_the_time_to_go_follows_the_present_rate():
    job = known(current=3, total=10, started_at=NOON - 6 * SECOND)
    assert job.eta_seconds in (14, 15)


@pytest.mark.parametrize(
    "values",
    [
        {"total": None, "current": 3},
        {"total": 10, "current": 0},
        {"total": 10, "current": 3, "started_at": 0},
        {"total": 10, "current": 3, "state": JobState.COMPLETE},
        {"total": 10, "current": 3, "state": JobState.PENDING},
    ],
)
def test_there_is_no_time_to_go_when_nobody_can_know(values):
    assert known(**{"started_at": NOON - SECOND} | values).eta_seconds is None


def test_the_time_to_go_is_never_below_0():
    assert known(current=30, total=10, started_at=NOON - SECOND).eta_seconds == 0
    assert known(current=3, total=10, started_at=NOON + SECOND).eta_seconds == 0


def test_times_are_aware_datetimes_and_none_where_nothing_has_happened():
    job = known(created_at=NOON)
    assert job.created_at == datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert job.started_at is None and job.ended_at is None and job.retry_at is None


def test_redis_s_clock_goes_on_from_the_moment_of_reading():
    job = known(now=NOON)
    before = monotonic()
    first, second = job.now, job.now
    assert NOON <= first <= second <= NOON + (monotonic() - before) * SECOND + SECOND


@pytest.mark.parametrize(
    ("state", "deadline", "overdue"),
    [
        (JobState.RUNNING, NOON - 1, True),
        (JobState.PENDING, NOON, True),
        (JobState.RUNNING, NOON + 60 * SECOND, False),
        (JobState.RUNNING, 0, False),
        (JobState.COMPLETE, NOON - 1, False),
        (JobState.LOST, NOON - 1, False),
    ],
)
def test_a_living_job_is_overdue_after_its_deadline(state, deadline, overdue):
    assert known(state=state, deadline=deadline).is_overdue is overdue


def test_the_job_s_own_address_wins_over_the_routes():
    assert known(path="/elsewhere/parcel-1/").get_absolute_url() == "/elsewhere/parcel-1/"
    assert known().get_absolute_url() == "/jobs/parcel-1/"


def test_a_job_tells_what_it_knows():
    job = known(
        owner="visitor:ann", tags=("post",), attempt=2, max_attempts=3, error="no", language="de"
    )
    assert (job.id, job.state, job.version, job.owner, job.tags) == (
        "parcel-1",
        "running",
        NOON,
        "visitor:ann",
        ("post",),
    )
    assert (job.attempt, job.max_attempts, job.error, job.language) == (2, 3, "no", "de")
    assert not job.is_ended and not job.is_cancel_asked and job.claimed_url == ""
    assert repr(job) == "<Job parcel-1 running>"
