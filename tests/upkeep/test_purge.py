"""The purge deletes old rows in batches, but none whose job Redis may still hold."""

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.models import JobRecord
from jobs.upkeep.purge import least_days, purge

pytestmark = pytest.mark.django_db


def archived(*ages):
    """Archive one job for each age in days."""
    now = timezone.now()
    ends = [now - timedelta(days=age) for age in ages]
    rows = [
        JobRecord(
            pk=f"parcel-{n}",
            version=1,
            created_at=now,
            ended_at=ended_at,
            state="complete",
            stored={},
        )
        for n, ended_at in enumerate(ends)
    ]
    JobRecord.objects.bulk_create(rows)


def left():
    return sorted(JobRecord.objects.values_list("pk", flat=True))


def test_jobs_that_ended_long_ago_are_deleted():
    archived(1, 29, 31, 300)
    assert sum(purge(30, 1000)) == 2
    assert left() == ["parcel-0", "parcel-1"]


def test_jobs_are_deleted_in_batches_oldest_first(django_assert_num_queries):
    archived(31, 33, 35, 37, 39)
    batches = purge(30, 2)
    assert next(batches) == 2
    assert left() == ["parcel-0", "parcel-1", "parcel-2"]
    with django_assert_num_queries(5):  # two for each of two batches, and one that finds no more
        assert list(batches) == [2, 1]


def test_rows_deleted_by_others_are_not_counted():
    archived(31, 32)
    batches = purge(30, 1)
    assert next(batches) == 1
    JobRecord.objects.all().delete()
    assert list(batches) == []


def test_the_large_column_is_not_read(django_assert_num_queries):
    archived(31)
    with django_assert_num_queries(3) as queries:
        list(purge(30, 10))
    assert not any("stored" in query["sql"] for query in queries.captured_queries)


def test_a_row_stays_while_redis_may_hold_its_job(settings):
    settings.JOBS = settings.JOBS | {"TTL": 5 * 86400}
    assert least_days() == 5
    with pytest.raises(ValueError, match="TTL"):
        next(purge(4.9, 10))
    archived(4, 6)
    assert sum(purge(5, 10)) == 1
