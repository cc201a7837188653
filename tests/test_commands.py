"""The management commands: each prints what it did, and exits with 1 if something is wrong."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from jobs.doctor.walk import Finding
from jobs.exceptions import StoreUnavailable
from jobs.models import JobRecord
from jobs.store.client import client
from tests.upkeep.test_purge import archived, left

from .factories import create_job, ended_job, plant, started_job


def run(name, *arguments):
    out = StringIO()
    call_command(name, *arguments, stdout=out)
    return out.getvalue()


@pytest.mark.django_db
def test_the_purge_prints_how_many_jobs_it_deleted(settings):
    settings.JOBS = settings.JOBS | {"ARCHIVE_DAYS": 10}
    archived(9, 11, 13)
    assert (
        run("purge_jobs", "--batch", "1") == "2 jobs deleted that ended more than 10 days ago.\n"
    )
    assert left() == ["parcel-0"]


@pytest.mark.django_db
def test_the_purge_accepts_another_age():
    archived(1, 3)
    assert run("purge_jobs", "--days", "2").startswith("1 jobs deleted")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "arguments", [("--batch", "0"), ("--days", "0"), ("--days", "-3"), ("--days", "nan")]
)
def test_a_purge_with_invalid_options_deletes_nothing(arguments):
    archived(3)
    with pytest.raises(CommandError):
        run("purge_jobs", *arguments)
    assert left() == ["parcel-0"]


@pytest.mark.django_db
def test_the_sweep_prints_its_counts():
    plant(client(), create_job(), deadline=1)
    started_job()
    ended_job()
    assert run("sweep_jobs") == "1 alive, 1 ended as overdue, 0 archived late.\n"


@pytest.mark.parametrize("error", [StoreUnavailable("no Redis"), OperationalError("no database")])
def test_a_sweep_that_fails_says_why(monkeypatch, error):
    def fail():
        raise error

    monkeypatch.setattr("jobs.management.commands.sweep_jobs.sweep", fail)
    with pytest.raises(CommandError, match="^no "):
        run("sweep_jobs")


@pytest.mark.django_db
def test_a_sweep_that_could_not_archive_exits_with_1(monkeypatch):
    ended_job()
    JobRecord.objects.all().delete()
    monkeypatch.setattr("jobs.upkeep.sweep.archive", lambda record: False)
    with pytest.raises(CommandError, match="1 jobs could not be archived"):
        run("sweep_jobs")


def test_the_doctor_prints_each_step_and_names_the_wrong_ones(monkeypatch):
    findings = [
        Finding("store", "answers"),
        Finding("worker", "No worker. Start one.", is_ok=False),
    ]
    monkeypatch.setattr("jobs.management.commands.jobs_doctor.take_steps", lambda url: findings)
    out = StringIO()
    with pytest.raises(CommandError, match=r"^Wrong: worker\.$"):
        call_command("jobs_doctor", stdout=out)
    lines = out.getvalue().splitlines()
    assert lines[:2] == ["ok    store: answers", "wrong worker: No worker. Start one."]
    assert "--url" in lines[2]


def test_the_doctor_accepts_the_public_address(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "jobs.management.commands.jobs_doctor.take_steps", lambda url: asked.append(url) or []
    )
    assert run("jobs_doctor", "--url", "https://example.org/some/page") == ""
    assert asked == ["https://example.org"]


@pytest.mark.parametrize("url", ["example.org", "ftp://example.org", "/jobs/"])
def test_the_doctor_refuses_an_invalid_address(url):
    with pytest.raises(CommandError, match="is no address"):
        run("jobs_doctor", "--url", url)
