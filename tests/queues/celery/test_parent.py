"""What the worker's parent learns by Celery's signals and tells by remote control."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
from celery import signals as celery_signals

from jobs.states import JobState
from tests.factories import again, create_job, eventually, started_job
from tests.tasks import send_parcel

from .played_parent import after_the_parent_thread

pytestmark = pytest.mark.usefixtures("database_file")


@pytest.mark.parametrize(("expired", "end"), [(False, "cancelled"), (True, "expired")])
def test_a_revoked_or_overdue_task_ends_its_job(expired, end):
    job = create_job()
    request = SimpleNamespace(id=job.id, headers={"jobs": {"kwargs": []}})
    celery_signals.task_revoked.send(
        sender=send_parcel, request=request, terminated=False, expired=expired
    )
    assert eventually(lambda: again(job).state.value == end)


def test_f49_an_overdue_second_delivery_does_not_end_the_first_attempt():
    job = create_job()
    job.start("worker@here/1")
    request = SimpleNamespace(id=job.id, headers={"jobs": {"kwargs": []}})
    celery_signals.task_revoked.send(sender=send_parcel, request=request, expired=True)
    message = SimpleNamespace(headers=request.headers)
    celery_signals.task_unknown.send(sender=None, message=message, exc=None, name="x", id=job.id)
    assert after_the_parent_thread(lambda: again(job).state) is JobState.RUNNING


def test_a_retry_that_comes_too_late_ends_its_job():
    job = started_job()
    job.retry(0)
    request = SimpleNamespace(id=job.id, headers={"jobs": {"kwargs": []}})
    celery_signals.task_revoked.send(sender=send_parcel, request=request, expired=True)
    assert eventually(lambda: again(job).state is JobState.EXPIRED)


def test_a_revoked_plain_task_ends_nothing():
    job = create_job()
    celery_signals.task_revoked.send(
        sender=send_parcel, request=SimpleNamespace(id=job.id, headers={}), expired=False
    )
    assert after_the_parent_thread(lambda: again(job).state) is JobState.PENDING


def test_a_task_that_the_worker_does_not_know_fails_its_job():
    job = create_job()
    message = SimpleNamespace(headers={"jobs": {"kwargs": []}})
    celery_signals.task_unknown.send(
        sender=None, message=message, exc=KeyError("x"), name="gone", id=job.id
    )
    assert eventually(lambda: again(job).state is JobState.FAILED)


def test_a_worker_with_a_job_task_can_answer_the_doctor():
    code = """
import django
django.setup()
from celery.utils.imports import symbol_by_name
from celery.worker.control import Panel
from jobs.tasks import JobTask
assert "jobs_store" not in Panel.data
symbol_by_name(JobTask.Request)
assert "jobs_store" in Panel.data
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
