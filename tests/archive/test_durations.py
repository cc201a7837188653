"""How long the jobs of a handler usually wait and run."""

from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs.archive import durations
from jobs.archive.durations import Durations, typical_durations
from jobs.models import JobRecord

pytestmark = pytest.mark.django_db
HANDLER = "tests.handlers.PostHandler"


@pytest.fixture(autouse=True)
def nothing_known():
    durations.forget()
    yield
    durations.forget()


def archive(wait, run, state="complete", handler=HANDLER, ago=0):
    """Put an ended job into the archive that waited and ran this long, in seconds."""
    ended = timezone.now() - timedelta(seconds=ago)
    started = ended - timedelta(seconds=run)
    number = JobRecord.objects.count()
    JobRecord.objects.create(
        id=f"job-{number}",
        state=state,
        handler_class=handler,
        version=number,
        created_at=started - timedelta(seconds=wait),
        started_at=started if state != "expired" else None,
        ended_at=ended,
        stored={},
    )


def test_durations_are_given_for_half_and_nine_tenths_of_the_jobs():
    for n in range(10):
        archive(wait=n, run=10 * n)
    assert [round(seconds, 3) for seconds in typical_durations(HANDLER)] == [5, 9, 50, 90]
    assert str(typical_durations(HANDLER)) == "5.0 9.0 50.0 90.0"


def test_durations_are_unknown_for_a_handler_with_few_jobs():
    for _ in range(durations.MIN_SAMPLE - 1):
        archive(wait=1, run=1)
    archive(wait=1, run=1, handler="tests.handlers.BrokenHandler")
    assert typical_durations(HANDLER) == Durations()
    assert str(typical_durations(HANDLER)) == "- - - -"


def test_failed_jobs_do_not_count_as_fast_ones():
    for _ in range(durations.MIN_SAMPLE):
        archive(wait=2, run=60)
        archive(wait=2, run=0, state="failed")
        archive(wait=0, run=0, state="expired")
    assert (typical_durations(HANDLER).wait_p90, typical_durations(HANDLER).run_p50) == (2, 60)


def test_only_the_newest_jobs_count():
    for n in range(durations.SAMPLE_SIZE):
        archive(wait=0, run=1, ago=n)
    for n in range(30):
        archive(wait=0, run=900, ago=1000 + n)
    assert typical_durations(HANDLER).run_p90 == 1


def test_the_archive_is_asked_once_a_minute_with_an_index(monkeypatch):
    for _ in range(5):
        archive(wait=1, run=1)
    now = 1000.0
    monkeypatch.setattr(durations, "monotonic", lambda: now)
    with CaptureQueriesContext(connection) as queries:
        typical_durations(HANDLER)
        typical_durations(HANDLER)
        assert len(queries) == 1
        now += durations.CACHE_SECONDS
        typical_durations(HANDLER)
    assert len(queries) == 2
    plan = JobRecord.objects.filter(handler_class=HANDLER).order_by("-ended_at")[:50].explain()
    assert "jobs_handler_ended" in plan


def test_without_an_archive_durations_are_unknown(settings, django_assert_num_queries):
    settings.JOBS = {**settings.JOBS, "ARCHIVE": False}
    with django_assert_num_queries(0):
        assert typical_durations(HANDLER) == Durations()


def test_an_unreadable_archive_does_not_break_the_page(monkeypatch, caplog):
    def fail(self, *names):
        raise OperationalError("no such table")

    monkeypatch.setattr(QuerySet, "values_list", fail)
    assert typical_durations(HANDLER) == Durations()
    assert "could not be read" in caplog.text
