"""The Prometheus metrics: counters driven by signals, and alive jobs counted at each scrape."""

import os
import subprocess
import sys
import time

import pytest
from asgiref.sync import sync_to_async
from django.test import RequestFactory
from prometheus_client import REGISTRY

from jobs import metrics, signals
from jobs.apps import JobsConfig, MeasuredJobsConfig
from jobs.push.hub import hub
from jobs.repository import JobRepository
from jobs.states import JobState
from jobs.store.client import client
from jobs.store.push import Push
from jobs.store.reader import async_reader
from jobs.testing import JobCommunicator

from .factories import ANN, NOWHERE, commands, create_job, ended_job, plant, started_job

pytestmark = pytest.mark.django_db
HANDLER = {"handler": "tests.handlers.PostHandler"}


@pytest.fixture(autouse=True)
def counting():
    """Count during the test."""
    metrics.connect()
    metrics.connect()
    yield
    metrics.disconnect()
    metrics.disconnect()


@pytest.fixture
def grown():
    """Return a function that returns by how much a figure has grown during the test."""
    before = figures()
    return lambda name, **labels: (
        figures().get((name, *sorted(labels.items())), 0)
        - before.get((name, *sorted(labels.items())), 0)
    )


def figures():
    """Return every figure by its name and labels."""
    samples = [sample for metric in REGISTRY.collect() for sample in metric.samples]
    return {(sample.name, *sorted(sample.labels.items())): sample.value for sample in samples}


def figure(name, **labels):
    """Return one figure, or None."""
    return figures().get((name, *sorted(labels.items())))


def test_jobs_are_counted_by_handler_and_outcome(grown):
    create_job()
    ended_job(JobState.COMPLETE)
    ended_job(JobState.FAILED)
    assert grown("jobs_created_total", **HANDLER) == 3
    assert grown("jobs_ended_total", **HANDLER, state="complete") == 1
    assert grown("jobs_ended_total", **HANDLER, state="failed") == 1


def test_waiting_and_running_times_use_redis_s_clock(grown):
    job = create_job()
    job.start()
    plant(client(), job, started_at=job.record.created_at + 1, state="running")
    job.refresh().record = job.record.replace(started_at=job.version - 7_000_000)
    job.end(JobState.COMPLETE)
    assert grown("jobs_waiting_seconds_count", **HANDLER) == 1
    assert grown("jobs_running_seconds_count", **HANDLER, state="complete") == 1
    assert 7 <= grown("jobs_running_seconds_sum", **HANDLER, state="complete") < 8


def test_a_second_attempt_does_not_count_as_waiting(grown):
    job = started_job()
    job.start()
    assert grown("jobs_waiting_seconds_count", **HANDLER) == 1


def test_alive_jobs_are_counted_during_a_scrape():
    create_job()
    started_job()
    plant(client(), create_job(), deadline=1)  # overdue: its next reader ends it
    ended_job()
    assert [figure("jobs_alive", state=state) for state in ("pending", "running")] == [1, 1]
    assert figure("jobs_alive", state="retrying") == 0
    assert figure("jobs_store_up") == 1


def test_a_scrape_works_without_the_store(settings):
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    assert figure("jobs_store_up") == 0
    assert figure("jobs_alive", state="pending") is None


def test_a_scrape_reads_only_the_states_of_jobs(redis_client):
    for _ in range(3):
        create_job()
    asked = commands(redis_client, lambda: list(metrics.ALIVE_JOBS.collect()))
    assert asked == ["ZREVRANGE", "TIME", *["HMGET"] * 3, "TIME"]


@pytest.mark.usefixtures("nothing_left")
async def test_sockets_and_deliveries_are_counted(grown, settings):
    settings.JOBS = settings.JOBS | {"ARCHIVE": False}
    job = await JobRepository().acreate(owner="visitor:ann")
    async with JobCommunicator(ANN, job.id) as page:
        await page.event("created")
        assert grown("jobs_open_sockets") == 1
        await sync_to_async(job.end)(JobState.COMPLETE)
        await page.event("ready")
        assert grown("jobs_delivery_seconds_count") == 1
        assert grown("jobs_delivery_seconds_sum") < 1
    assert grown("jobs_open_sockets") == 0
    await async_reader().close()


@pytest.mark.usefixtures("nothing_left")
async def test_a_lost_push_is_counted_when_reconciliation_finds_it(grown, settings, monkeypatch):
    settings.JOBS = settings.JOBS | {"ARCHIVE": False}
    job = await JobRepository().acreate(owner="visitor:ann")
    async with JobCommunicator(ANN, job.id) as page:
        await page.event("created")
        await hub().reconcile()
        assert (
            grown("jobs_reconcile_hits_total", kind="end")
            == grown("jobs_reconcile_hits_total", kind="change")
            == 0
        )
        monkeypatch.setattr("jobs.push.publisher.prepare", lambda message, channels: Push((), b""))
        await sync_to_async(job.end)(JobState.COMPLETE)
        await hub().reconcile()
        await page.event("ready")
    assert grown("jobs_reconcile_hits_total", kind="end") == 1
    await async_reader().close()


def test_delivery_times_use_redis_s_clock(grown, monkeypatch):
    monkeypatch.setattr(metrics.ALIVE_JOBS, "clock_ahead", 3600.0)
    signals.push_arrived.send_robust(None, version=int((time.time() + 3599.9) * 1_000_000))
    assert 0.1 <= grown("jobs_delivery_seconds_sum") < 0.2
    monkeypatch.setattr(metrics.ALIVE_JOBS, "clock_ahead", -3600.0)
    signals.push_arrived.send_robust(None, version=int(time.time() * 1_000_000))
    assert grown("jobs_delivery_seconds_sum") < 0.2  # never negative


def test_a_missed_end_and_a_missed_change_are_counted_separately(grown):
    job = ended_job()
    signals.push_missed.send_robust(None, job=job, seen=job.version - 1)
    signals.push_missed.send_robust(None, job=job, seen=job.version)
    signals.push_missed.send_robust(None, job=started_job(), seen=0)
    assert grown("jobs_reconcile_hits_total", kind="end") == 1
    assert grown("jobs_reconcile_hits_total", kind="change") == 2


def test_a_scrape_measures_redis_s_clock(monkeypatch):
    real = time.time
    monkeypatch.setattr(metrics.time, "time", lambda: real() - 3600)
    list(metrics.ALIVE_JOBS.collect())
    assert 3599 < metrics.ALIVE_JOBS.clock_ahead < 3601
    monkeypatch.undo()
    list(metrics.ALIVE_JOBS.collect())
    assert metrics.ALIVE_JOBS.clock_ahead == 0


def test_the_view_answers_a_scrape():
    ended_job()
    answer = metrics.expose(RequestFactory().get("/metrics"))
    assert answer.status_code == 200 and answer["Content-Type"].startswith("text/plain")
    assert (
        'jobs_ended_total{handler="tests.handlers.PostHandler",state="complete"}'
        in answer.content.decode()
    )
    assert metrics.expose(RequestFactory().post("/metrics")).status_code == 405


MULTIPROCESS = """
from django.test import RequestFactory
from jobs import metrics
from jobs.repository import JobRepository
metrics.connect()
print(JobRepository().create().id)
print(metrics.expose(RequestFactory().get("/metrics")).content.decode())
"""
MEASURED = """
from project.settings import *
INSTALLED_APPS = [app.replace("JobsConfig", "MeasuredJobsConfig") for app in INSTALLED_APPS]
"""


def python(code, settings="project.settings", **env):
    """Run code in a process of the project, and return what it prints."""
    env = os.environ | {"DJANGO_SETTINGS_MODULE": settings} | env
    command = [sys.executable, "-c", f"import sys, django; django.setup()\n{code}"]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout


def test_processes_of_one_machine_are_counted_together(tmp_path):
    answers = [python(MULTIPROCESS, PROMETHEUS_MULTIPROC_DIR=str(tmp_path)) for _ in range(2)]
    assert 'jobs_created_total{handler="jobs.handlers.JobHandler"} 2.0' in answers[-1]
    assert 'jobs_alive{state="pending"} 2.0' in answers[-1]


def test_prometheus_is_not_imported_unless_metrics_are_on():
    assert python("print('prometheus_client' in sys.modules)") == "False\n"


def test_one_line_in_the_settings_turns_metrics_on(tmp_path):
    (tmp_path / "measured.py").write_text(MEASURED)
    code = "from jobs import signals; print(signals.job_ended.has_listeners())"
    assert python(code, settings="measured", PYTHONPATH=f"{tmp_path}:.") == "True\n"
    assert JobsConfig.default and not MeasuredJobsConfig.default
