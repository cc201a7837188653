"""What follows a transition: the archive, then the signals. Nothing of it can hurt the job."""

import pytest

from jobs import signals
from jobs.lifecycle.announce import announce_ended
from jobs.models import JobRecord
from jobs.states import JobState
from tests.factories import create_job, ended_job

pytestmark = pytest.mark.django_db


@pytest.fixture
def hear():
    """Return a function that connects a receiver for the length of the test."""
    connected = []

    def connect(signal, receiver):
        signal.connect(receiver)
        connected.append((signal, receiver))

    yield connect
    for signal, receiver in connected:
        signal.disconnect(receiver)


def test_a_job_is_archived_before_listeners_hear_of_its_end(hear):
    found = []
    hear(signals.job_ended, lambda job, **_: found.append(JobRecord.objects.get(pk=job.id).state))
    ended_job()
    assert found == ["complete"]


def test_listeners_hear_of_creation_start_and_end(hear):
    heard = []
    for name in ("job_created", "job_started", "job_ended"):
        hear(
            getattr(signals, name),
            lambda job, name=name, **_: heard.append((name, job.state.value)),
        )
    job = create_job()
    job.start()
    job.end(JobState.FAILED, "no")
    assert heard == [
        ("job_created", "pending"),
        ("job_started", "running"),
        ("job_ended", "failed"),
    ]


def test_a_listener_that_raises_does_not_stop_the_others(hear, caplog):
    heard = []

    def stumble(**_):
        raise RuntimeError("not my day")

    hear(signals.job_ended, stumble)
    hear(signals.job_ended, lambda job, **_: heard.append(job.id))
    job = ended_job()
    assert heard == [job.id] and job.state is JobState.COMPLETE
    assert f"job {job.id}: " in caplog.text and "not my day" in caplog.text


def test_without_listeners_the_end_is_only_archived():
    job = ended_job()
    JobRecord.objects.all().delete()
    announce_ended(job)
    assert JobRecord.objects.filter(pk=job.id).exists()
