"""The checker finds each broken promise in a history that is written by hand."""

from dataclasses import replace

import pytest

from .checker import check, gone
from .history import Event, History
from .losses import TWICE, UNTAKEN

PAGE, OTHER = "person 1, page 1", "person 1, page 2"


def event(at, kind, **more):
    return Event(at, kind, job="j", **more)


GOOD = {
    "started": event(1, "started", who="person 1", word="quick"),
    "begins": event(2, "begins", pids=(7,)),
    "running": event(2, "heard", who=PAGE, state="running", version=20, socket=1),
    "ends": event(3, "ends", word="complete", pids=(7,)),
    "heard": event(3, "heard", who=PAGE, state="complete", version=30, socket=1),
    "hook": event(4, "hook", who="on_ready", state="complete"),
    "post": event(4, "posted", who=PAGE, state="complete", version=30, status=200, url="/done/"),
    "row": event(9, "row", state="complete", version=30, word="claimed", url="/done/"),
    "found": event(9, "found", who="person 1", state="complete", version=30, status=200),
}


def verdict(*more, without=(), **changed):
    """Return what is wrong with a good history that is changed in some way."""
    events = {name: e for name, e in GOOD.items() if name not in without}
    events |= {name: replace(events[name], **fields) for name, fields in changed.items()}
    return [text for texts in check(History([*events.values(), *more])).values() for text in texts]


def test_a_good_history_is_good():
    assert verdict() == []


CLAIMED_AS_LOST = {
    "hook": {"who": "on_failed", "state": "lost"},
    "row": {"state": "lost"},
    "found": {"state": "lost"},
}


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"hook": {"state": "running"}}, "on_ready ran for a job that was running"),
        ({"hook": {"state": "failed"}}, "on_ready ran for failed"),
        ({"hook": {"who": "on_failed"}}, "on_failed ran for complete"),
        ({"hook": {"at": 2.5}}, "on_ready ran before any task had come to its good end"),
        ({"ends": {"word": "JobError"}}, "on_ready ran before any task had come to its good end"),
        ({"row": {"state": "failed"}}, "on_ready ran for complete, the archive has failed"),
        ({"row": {"word": ""}}, "the archive says unclaimed, hooks: 1"),
        ({"row": {"url": "/other/"}}, "sent to 2 places: /done/, /other/"),
        ({"post": {"state": "failed"}}, f"{PAGE} had heard failed, the hook ran for complete"),
        (CLAIMED_AS_LOST, f"{PAGE} had heard complete, the hook ran for lost"),
        ({"heard": {"version": 19}}, f"{PAGE} heard version 19 after 20"),
        ({"found": {"state": "lost"}}, "found 200 lost, the archive has complete"),
        ({"found": {"status": 404}}, "found 404 complete, the archive has complete"),
    ],
)
def test_what_changes_for_the_worse_is_found(changes, wrong):
    assert wrong in verdict(**changes)


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        (event(5, "hook", who="on_ready", state="complete"), "2 hooks took effect"),
        (
            event(5, "posted", who=OTHER, state="complete", status=200, url="/x/"),
            "sent to 2 places",
        ),
        (
            event(5, "heard", who=OTHER, state="lost", version=31),
            "heard lost later than the claimed",
        ),
        (event(5, "posted", who=OTHER, state="complete", status=500), "answered with 500"),
        (event(5, "cancelled", who=OTHER, status=403), "answered with 403"),
        (event(5, "looked", who=OTHER, status=500), "answered with 500"),
        (event(5, "looked", who=OTHER, status=404), "answered 404 before Redis was emptied"),
        (event(9, "left", who=OTHER, state="complete"), "was left waiting, having heard complete"),
    ],
)
def test_what_happens_besides_is_found(more, wrong):
    assert any(wrong in text for text in verdict(more))


@pytest.mark.parametrize("without", ["hook", "row"])
def test_what_is_missing_is_found(without):
    assert verdict(without=[without]) != []


def test_a_lost_job_may_be_corrected_before_its_claim():
    assert verdict(post={"state": "lost"}) == []


def test_another_socket_may_hear_an_older_version_or_the_same_twice():
    older = event(5, "heard", who=PAGE, state="running", version=19, socket=2)
    assert verdict(older, GOOD["heard"]) == []


LEFT = [GOOD["started"], event(9, "left", who=PAGE)]
EMPTIED = Event(1.5, "emptied", who="both", until=1.6)
BEGINS = event(1.2, "begins", pids=(7,))
KILLED = Event(2, "fault", who="worker 1", word="kill -9", until=5, pids=(6, 7))


def left(*more):
    """Return what is wrong with somebody who waits in vain, and why the job is gone."""
    history = History([*LEFT, *more])
    return bool(check(history)), gone(history)["j"]


def test_a_job_that_no_worker_had_taken_may_be_gone():
    assert left(EMPTIED) == (False, UNTAKEN)


def test_a_job_whose_worker_died_as_well_may_be_gone():
    assert left(EMPTIED, BEGINS, KILLED) == (False, TWICE)


def test_a_worker_may_begin_a_job_while_it_is_being_killed():
    assert left(EMPTIED, BEGINS, replace(KILLED, at=1.1)) == (False, TWICE)


def test_a_worker_that_died_before_had_not_begun_the_job():
    assert left(EMPTIED, BEGINS, replace(KILLED, at=0.5, until=1)) == (True, "")


def test_a_job_that_waited_for_its_next_attempt_may_be_gone():
    assert left(EMPTIED, BEGINS, event(1.3, "ends", word="Retry", pids=(7,))) == (False, UNTAKEN)


@pytest.mark.parametrize(
    "events",
    [
        [],
        [BEGINS, KILLED],
        [EMPTIED, BEGINS],
        [EMPTIED, BEGINS, replace(KILLED, pids=(8,))],
        [EMPTIED, BEGINS, replace(KILLED, at=8)],
        [EMPTIED, BEGINS, event(1.4, "ends", word="complete", pids=(7,))],
        [replace(EMPTIED, who="broker")],
        [replace(EMPTIED, who="store")],  # the message brings the record
        [replace(EMPTIED, at=-2, until=-1)],
    ],
)
def test_any_other_job_must_not_be_gone(events):
    assert left(*events) == (True, "")


def test_a_message_that_died_with_its_worker_brings_nothing():
    assert left(replace(EMPTIED, who="store"), replace(KILLED, pids=(8,))) == (False, UNTAKEN)
