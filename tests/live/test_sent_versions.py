"""What a socket remembers of what it was told."""

import pytest

from jobs.live import sent_versions as module
from jobs.live.sent_versions import SentVersions

JOB, MINE = '{"job":"parcel-1"}', '{"mine":true}'


@pytest.fixture
def told():
    """Return what a socket was told: version 7 of a job, for the subscription to it."""
    told = SentVersions()
    told.note("parcel-1", 7, JOB, is_alive=True)
    return told


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
def test_news_is_what_is_newer_or_has_not_been_told_to_this_subscription(
    told, version, key, again, is_news
):
    assert told.is_unsent("parcel-1", version, key, again) is is_news


def test_a_job_of_which_nothing_was_told_is_unsent(told):
    assert told.is_unsent("parcel-2", 1, JOB)
    assert (told.version("parcel-1"), told.version("parcel-2")) == (7, 0)


def test_every_subscription_that_is_told_of_a_job_is_named_once(told):
    assert list(told.note("parcel-1", 7, MINE, is_alive=True)) == [JOB, MINE]
    assert list(told.note("parcel-1", 8, JOB, is_alive=True)) == [JOB, MINE]


def test_jobs_whose_end_was_not_told_are_known_by_subscription(told):
    told.note("parcel-2", 1, MINE, is_alive=True)
    told.note("parcel-3", 1, MINE, is_alive=False)
    assert (told.alive_for(JOB), told.alive_for(MINE)) == (["parcel-1"], ["parcel-2"])


def test_so_many_jobs_are_remembered_and_no_more(monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED", 3)
    told = SentVersions()
    for number in [0, 1, 2, 0, 3]:  # what was told of last is forgotten last
        told.note(f"job {number}", 1, MINE, is_alive=True)
    assert told.alive_for(MINE) == ["job 2", "job 0", "job 3"]
