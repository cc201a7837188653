"""What a page remembers of the frames that it was sent."""

import pytest

from jobs.live import sent_versions as module
from jobs.live.sent_versions import SentVersions

JOB, MINE = '{"job":"parcel-1"}', '{"mine":true}'


@pytest.fixture
def sent():
    """Return a page that was sent version 7 of a job, for the subscription to it."""
    sent = SentVersions()
    sent.note("parcel-1", 7, JOB, is_alive=True)
    return sent


@pytest.mark.parametrize(
    ("version", "key", "again", "is_news"),
    [
        (8, JOB, False, True),
        (8, MINE, False, True),
        (7, JOB, False, False),
        (7, JOB, True, True),
        (7, MINE, False, True),
        (6, JOB, True, False),
        (6, MINE, False, False),
    ],
)
def test_a_version_is_unsent_if_newer_or_new_to_the_subscription(
    sent, version, key, again, is_news
):
    assert sent.is_unsent("parcel-1", version, key, again) is is_news


def test_a_job_without_a_frame_is_unsent(sent):
    assert sent.is_unsent("parcel-2", 1, JOB)
    assert (sent.version("parcel-1"), sent.version("parcel-2")) == (7, 0)


def test_every_subscription_that_gets_a_job_is_named_once(sent):
    assert list(sent.note("parcel-1", 7, MINE, is_alive=True)) == [JOB, MINE]
    assert list(sent.note("parcel-1", 8, JOB, is_alive=True)) == [JOB, MINE]


def test_jobs_whose_end_was_not_sent_are_known_by_subscription(sent):
    sent.note("parcel-2", 1, MINE, is_alive=True)
    sent.note("parcel-3", 1, MINE, is_alive=False)
    assert (sent.alive_for(JOB), sent.alive_for(MINE)) == (["parcel-1"], ["parcel-2"])


def test_a_limited_number_of_jobs_is_remembered(monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED", 3)
    sent = SentVersions()
    for number in [0, 1, 2, 0, 3]:  # the latest frame is forgotten last
        sent.note(f"job {number}", 1, MINE, is_alive=True)
    assert sent.alive_for(MINE) == ["job 2", "job 0", "job 3"]
