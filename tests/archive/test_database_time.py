"""A project with `USE_TZ = False`: its database holds naive local times."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from jobs.archive.database_time import aware_time, database_time, seconds_between
from jobs.archive.durations import forget, typical_durations
from jobs.archive.history import last_days
from jobs.handlers import JobHandler
from jobs.models import JobRecord
from jobs.repository import JobRepository
from jobs.states import JobState
from jobs.templatetags.jobs import moment
from jobs.upkeep.purge import purge
from jobs.upkeep.sweep import Swept, sweep
from jobs.waiting.claim import claim
from tests.factories import ANN, JSON, browser, ended_job, request_of, user

# In Madrid it is 02:30 twice on this day, because the clock goes back from 03:00 to 02:00.
BEFORE = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
AFTER = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def naive(settings):
    settings.TIME_ZONE = "Europe/Madrid"
    settings.USE_TZ = False


def test_a_moment_is_stored_in_the_project_s_local_time():
    assert database_time(datetime(2026, 7, 1, 10, tzinfo=UTC)) == datetime(2026, 7, 1, 12)


def test_a_stored_moment_is_read_back_unchanged():
    for read in (
        datetime(2026, 7, 1, 10, tzinfo=UTC),
        datetime(2026, 12, 1, 10, 0, 0, 7, tzinfo=UTC),
    ):
        assert aware_time(database_time(read)) == read


def test_with_time_zones_a_moment_is_stored_unchanged(settings):
    settings.USE_TZ = True
    assert database_time(AFTER) is AFTER
    assert aware_time(AFTER) == AFTER


def test_durations_are_right_when_the_clock_goes_forward_or_back():
    spring = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    for start in (spring, BEFORE):
        end = start + timedelta(hours=2)
        assert seconds_between(database_time(start), database_time(end)) == 7200
    assert (
        seconds_between(database_time(BEFORE), database_time(AFTER - timedelta(minutes=20)))
        == 2400
    )


@pytest.mark.django_db
def test_f51_without_time_zones_a_job_is_archived_and_claimed_once():
    job = ended_job(handler_class=JobHandler)
    url = claim(job, request_of(ANN))
    assert claim(job.refresh(), request_of(ANN)) == url
    row = JobRecord.objects.get()
    assert row.claimed_url == url and timezone.is_naive(row.claimed_at)
    assert abs(row.to_record().claimed_at - row.version) < 60_000_000


@pytest.mark.django_db
def test_f51_without_time_zones_the_times_of_a_job_are_aware(redis_client):
    job = ended_job()
    redis_client.flushall()
    found = JobRepository().find(job.id)
    assert (found.created_at, found.ended_at) == (job.created_at, job.ended_at)
    assert found.ended_at.tzinfo is UTC


@pytest.mark.django_db
@pytest.mark.parametrize("ended_at", [BEFORE, AFTER])
def test_f51_a_job_that_ended_in_a_repeated_hour_can_be_claimed(redis_client, ended_at):
    job = ended_job(handler_class=JobHandler)
    at = int(ended_at.timestamp()) * 1_000_000
    record = job.record.replace(created_at=at - 7, started_at=at - 5, ended_at=at, version=at)
    JobRecord.objects.all().delete()
    JobRecord.objects.store(record)
    redis_client.flushall()
    found = JobRepository().find(job.id)
    assert found.record.ended_at == at
    claim(found, request_of(ANN))
    assert JobRecord.objects.get().claimed_at is not None


@pytest.mark.django_db
def test_f51_without_time_zones_the_sweep_archives_only_what_is_missing():
    ended_job()
    assert sweep() == Swept()
    ended_job()
    JobRecord.objects.all().delete()
    assert sweep() == Swept(archived=1)


@pytest.mark.django_db
def test_f51_without_time_zones_the_purge_keeps_young_jobs():
    old, young = ended_job(), ended_job()
    JobRecord.objects.filter(pk=old.id).update(ended_at=timezone.now() - timedelta(days=31))
    assert sum(purge(30, 100)) == 1
    assert [row.pk for row in JobRecord.objects.all()] == [young.id]


@pytest.mark.django_db
def test_f51_without_time_zones_history_and_durations_are_right():
    forget()
    handler = [ended_job().handler_class for _ in range(5)][0]
    ended_job(JobState.FAILED)
    (today,) = last_days(1)
    assert (today.total, today.date) == (6, datetime.now().date())
    assert 0 <= typical_durations(handler).run_p50 < 60


@pytest.mark.django_db
def test_f51_without_time_zones_the_list_shows_the_local_time():
    job = ended_job()
    shown = browser(ANN).get("/jobs/")
    assert shown.status_code == 200 and job.id in shown.content.decode()
    assert browser(ANN).get("/jobs/", **JSON).json()["jobs"][0]["ended_at"].endswith("+00:00")
    assert moment("2026-07-01T22:30:00.000000+00:00") == "July 2, 2026"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "page", ["", "?ended_at__gte=2026-01-01+00:00:00", "summary/", "alive/", "{id}/change/"]
)
def test_f51_without_time_zones_the_admin_shows_its_pages(page):
    job = ended_job()
    admin = browser(user=user(is_staff=True, is_superuser=True))
    answer = admin.get(f"/admin/jobs/jobrecord/{page.format(id=job.id)}")
    assert answer.status_code == 200
