"""How jobs ended on each of the last days."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.utils import timezone

from jobs.archive.history import last_days
from jobs.models import JobRecord
from jobs.states import ENDED, JobState

pytestmark = pytest.mark.django_db


def ended(state, at, number=1):
    """Archive jobs that ended at this moment."""
    rows = [
        JobRecord(
            pk=f"{state} {at} {n}", state=state, version=1, created_at=at, ended_at=at, stored={}
        )
        for n in range(number)
    ]
    JobRecord.objects.bulk_create(rows)


def test_each_of_the_last_days_counts_its_jobs_by_state():
    now = timezone.now()
    ended("complete", now, 3)
    ended("failed", now)
    ended("complete", now - timedelta(days=1), 2)
    ended("complete", now - timedelta(days=3), 7)
    today, yesterday, before = last_days(3)
    assert (today.counts[JobState.COMPLETE], today.counts[JobState.FAILED], today.total) == (
        3,
        1,
        4,
    )
    assert (yesterday.total, before.total) == (2, 0)
    assert today.date - before.date == timedelta(days=2)
    assert set(before.counts) == ENDED


def test_days_follow_the_current_time_zone(settings, monkeypatch):
    noon = datetime(2026, 3, 29, 10, tzinfo=UTC)  # the day of the clock change in Madrid: 23 hours
    monkeypatch.setattr("django.utils.timezone.now", lambda: noon)
    for hours in (0, 22.5, 23.5):
        ended("complete", datetime(2026, 3, 28, 23, 30, tzinfo=UTC) + timedelta(hours=hours))
    with timezone.override("Europe/Madrid"):
        (today,) = last_days(1)
    assert (today.date, today.total) == (date(2026, 3, 29), 1)


def test_each_day_costs_one_query_that_an_index_answers(django_assert_num_queries):
    with django_assert_num_queries(5):
        list(last_days(5))
    newest = JobRecord.objects.filter(ended_at__gte=timezone.now()).values("state")
    assert "COVERING INDEX jobs_ended_state" in newest.explain() or "Index" in newest.explain()
