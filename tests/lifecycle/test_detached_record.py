"""The job of a task that nobody waits for."""

import pytest

from jobs.core.record import Record
from jobs.exceptions import (
    JobCancelled,
    JobEnded,
)
from jobs.job import Job
from jobs.lifecycle.detached_record import DetachedRecord
from jobs.states import JobState

pytestmark = pytest.mark.usefixtures("database_file")


def test_a_detached_job_keeps_to_itself(redis_client):
    job = Job(Record("plain", JobState.RUNNING), kind=DetachedRecord)
    job.data["x"] = 1
    job.set_progress(3, 10)
    job.increment_progress()
    job.complete()
    assert (job.state, dict(job.data)) == (JobState.COMPLETE, {"x": 1})
    assert redis_client.dbsize() == 0
    with pytest.raises(JobEnded):
        job.complete()
    with pytest.raises(JobEnded):
        job.data["y"] = 2


def test_a_detached_job_can_be_cancelled_by_its_own_task():
    job = Job(Record("plain", JobState.RUNNING), kind=DetachedRecord)
    job.cancel()
    with pytest.raises(JobCancelled):
        job.set_progress(1)
