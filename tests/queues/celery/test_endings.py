"""The worker's parent ends jobs from a thread of its own."""

import logging

import pytest
from django.utils.translation import override

from jobs.queues.celery.endings import end_later
from jobs.queues.outcome import TOO_LONG
from jobs.runtime.backlog import backlog
from jobs.states import JobState
from tests.factories import NOWHERE, again, create_job, eventually, started_job

from .played_parent import after_the_parent_thread

pytestmark = pytest.mark.usefixtures("database_file")


def test_an_end_is_written_in_the_language_of_the_job():
    with override("de"):
        job, text = create_job(), str(TOO_LONG)
    assert text != str(TOO_LONG)
    end_later(job.id, JobState.FAILED, TOO_LONG)
    assert eventually(lambda: again(job).error == text)


def test_the_end_of_an_unknown_job_is_logged(caplog):
    end_later("nobody", JobState.FAILED)
    after_the_parent_thread(lambda: None)
    assert "job nobody: not failed" in caplog.text


def test_the_end_of_another_process_s_attempt_is_logged(caplog):
    caplog.set_level(logging.INFO)
    job = create_job()
    job.start("worker@here/1")
    end_later(job.id, JobState.FAILED, runner="worker@here/2")
    after_the_parent_thread(lambda: None)
    assert f"job {job.id}: not failed: it is no longer run by worker@here/2" in caplog.text
    assert again(job).state is JobState.RUNNING


def test_an_end_is_written_when_the_store_answers_again(settings, monkeypatch):
    monkeypatch.setattr("jobs.runtime.backlog.RETRY_PAUSE", 0.02)
    job, here = started_job(), settings.JOBS
    settings.JOBS = here | {"REDIS_URL": NOWHERE}
    end_later(job.id, JobState.FAILED, "interrupted")
    after_the_parent_thread(lambda: None)
    settings.JOBS = here
    assert eventually(lambda: again(job).state is JobState.FAILED)
    eventually(lambda: not backlog()._is_running)
