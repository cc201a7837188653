"""Every state, every transition, every flag: what is decided, without Redis."""

from itertools import product

import pytest

from jobs.core import transitions
from jobs.core.record import Record
from jobs.core.transitions import Step
from jobs.exceptions import ClaimInProgress, JobCancelled, JobEnded, JobRunning
from jobs.states import ALIVE, ENDED, JobState

NOW = 1_000_000_000  # microseconds
ARCHIVED = Record("a", JobState.FAILED, version=7, error="It broke.", ended_at=5)


def alive(what):
    """Return what happens to a job that is alive; an ended one refuses."""
    return dict.fromkeys(ALIVE, what) | dict.fromkeys(ENDED, "JobEnded")


def may_become(state):
    """Return what becomes of each state on the way to this one, by the design's words."""
    before = {"pending", "running", "retrying", "lost"}
    if state == "retrying":
        before = {"running", "lost"}
    if state == "lost":
        before -= {"lost"}
    return {old: state if old in before else "JobEnded" for old in JobState}


def with_part(record):
    """Return the record of a canvas with one part left."""
    return record.replace(total=2, parts=frozenset({"one"}))


# name: the transition, and by state what it becomes or raises
TABLE = {
    "start": (transitions.start(), may_become("running")),
    "retry": (transitions.retry(5, 3, 60), may_become("retrying")),
    "complete": (transitions.end(JobState.COMPLETE), may_become("complete")),
    "fail": (transitions.end(JobState.FAILED, "no"), may_become("failed")),
    "lose": (transitions.end(JobState.LOST), may_become("lost")),
    "expire": (transitions.end(JobState.EXPIRED), may_become("expired")),
    "cancel": (transitions.cancel, may_become("cancelled") | {"running": "running"}),
    "progress": (transitions.progress(False, transitions.unchanged), alive("same")),
    "save data": (transitions.save_data(False, transitions.unchanged), alive("same")),
    "hand over": (transitions.hand_over(0, False, transitions.unchanged), alive("same")),
    "start part": (transitions.start_part, alive("running")),
    "end part": (transitions.end_part("two"), alive("complete")),
    "add parts": (transitions.add_parts(1), alive("same")),
    "lease": (transitions.lease("a", 30), alive("JobEnded") | dict.fromkeys(ENDED, "same")),
    "archived": (transitions.archived_outcome(ARCHIVED), dict.fromkeys(JobState, "failed")),
    "overdue": (
        transitions.overdue,
        dict.fromkeys(JobState, "expired") | {"running": "lost"},
    ),
}
ENDINGS = {"complete", "fail", "lose", "expire"}
MOVES = {"start", "retry", "cancel"} | ENDINGS  # which the table of states rules
WRITES = {"progress", "save data", "hand over"}  # which the task's own process makes
STOPPABLE = {"progress", "hand over", "start part"}


def outcome(transition, record):
    """Return the state that a transition decides on, or the name of what it raises."""
    try:
        return str(transition(record, NOW).record.state)
    except (JobEnded, JobCancelled, JobRunning, ClaimInProgress) as error:
        return type(error).__name__


def expected(name, state):
    """Return what the table says of a state."""
    said = str(TABLE[name][1][state])
    return str(state) if said == "same" else said


@pytest.mark.parametrize(("name", "state"), list(product(TABLE, JobState)))
def test_a_transition_does_in_each_state_what_the_table_says(name, state):
    record = with_part(Record("a", state))
    assert outcome(TABLE[name][0], record) == expected(name, state)


@pytest.mark.parametrize(("name", "state"), list(product(sorted(MOVES), JobState)))
def test_a_claimed_job_moves_nowhere(name, state):
    asks_to_stop = (name, state) == ("cancel", "running")  # a state that no claimed job has
    record = Record("a", state, claimed_at=5)
    assert outcome(TABLE[name][0], record) == ("running" if asks_to_stop else "JobEnded")


@pytest.mark.parametrize("name", sorted(MOVES - {"lose"}))
@pytest.mark.parametrize(("until", "is_free"), [(NOW + 1, False), (NOW, True), (0, True)])
def test_a_lost_job_moves_only_when_no_lease_runs(name, until, is_free):
    record = Record("a", JobState.LOST, leased_until=until, leased_by="b")
    wanted = expected(name, JobState.LOST) if is_free else "ClaimInProgress"
    assert outcome(TABLE[name][0], record) == wanted


@pytest.mark.parametrize(("name", "state"), list(product(sorted(WRITES), JobState)))
def test_the_process_that_holds_the_attempt_brings_a_lost_job_back(name, state):
    held = {
        "progress": transitions.progress(True, transitions.unchanged),
        "save data": transitions.save_data(True, transitions.unchanged),
        "hand over": transitions.hand_over(0, True, transitions.unchanged),
    }[name]
    wanted = {"lost": "running", "cancelled": "JobCancelled"}.get(state, expected(name, state))
    assert outcome(held, Record("a", state)) == wanted


def test_a_lost_job_is_not_brought_back_during_a_claim():
    record = Record("a", JobState.LOST, leased_until=NOW + 1, leased_by="b")
    held = transitions.progress(True, transitions.unchanged)
    assert outcome(held, record) == "ClaimInProgress"
    assert outcome(held, record.replace(leased_until=0, claimed_at=5)) == "JobEnded"


@pytest.mark.parametrize("name", sorted(STOPPABLE))
def test_a_job_that_was_asked_to_stop_goes_no_further(name):
    record = Record("a", JobState.RUNNING, cancel_asked=True)
    wanted = "JobEnded" if name == "progress" else "JobCancelled"
    assert outcome(TABLE[name][0], record) == wanted
    assert outcome(transitions.progress(True, transitions.unchanged), record) == "JobCancelled"


def test_a_retry_of_a_job_that_was_asked_to_stop_cancels_it():
    record = Record("a", JobState.RUNNING, cancel_asked=True)
    assert outcome(TABLE["retry"][0], record) == "cancelled"


def test_another_runner_cannot_take_a_running_attempt():
    record = Record("a", JobState.RUNNING, runner="one/7", deadline=NOW + 2_000_000)
    with pytest.raises(JobRunning) as refused:
        transitions.start("two/8")(record, NOW)
    assert refused.value.seconds_left == 2
    for taker in (transitions.start("one/7"), transitions.start("two/8", instead_of="one/7")):
        assert outcome(taker, record) == "running"


def test_an_attempt_begins_with_no_progress():
    old = Record("a", JobState.RETRYING, attempt=1, current=3, total=9, note="x", retry_at=5)
    new = transitions.start("one/7")(old, NOW).record
    assert (new.attempt, new.current, new.total, new.note) == (2, 0, None, "")


@pytest.mark.parametrize("state", sorted(ALIVE | {JobState.LOST}))
def test_each_end_frees_the_lease_and_has_no_deadline(state):
    step = transitions.end(JobState.COMPLETE)
    old = Record("a", state, leased_until=5, leased_by="b", deadline=9)
    new, change, event = step(old, NOW)
    assert (new.leased_until, new.leased_by, event) == (0, "", "ready")
    assert (change.stamp, change.deadline) == ("ended_at", transitions.NEVER)


@pytest.mark.parametrize(
    ("holder", "until", "wanted"),
    [("", 0, "a"), ("b", NOW, "a"), ("b", NOW + 1, "ClaimInProgress"), ("a", NOW + 1, "a")],
)
def test_a_lease_is_for_one_token_at_a_time(holder, until, wanted):
    record = Record("a", JobState.COMPLETE, leased_by=holder, leased_until=until)
    try:
        found = transitions.lease("a", 30)(record, NOW).record.leased_by
    except ClaimInProgress as error:
        found = type(error).__name__
    assert found == wanted


def test_only_the_holder_gives_a_lease_back():
    transition = transitions.release("a")
    record = Record("a", JobState.COMPLETE, leased_by="a", leased_until=NOW + 1)
    assert transition(record, NOW).record.leased_by == ""
    with pytest.raises(JobEnded):
        transition(record.replace(leased_by="b"), NOW)


CLAIMS = [
    ({}, None, True),
    ({}, "a", False),
    ({"leased_by": "a"}, "a", True),
    ({"leased_by": "b"}, "a", False),
    ({"state": JobState.FAILED}, None, False),
    ({"ended_at": 6}, None, False),
    ({"claimed_at": 9}, None, False),
]


@pytest.mark.parametrize(("stored", "token", "is_taken"), CLAIMS)
def test_a_claim_is_of_the_known_outcome_and_by_the_holder(stored, token, is_taken):
    known = Record("a", JobState.COMPLETE, ended_at=5)
    transition = transitions.claimed("/there/", known, token)
    if not is_taken:
        with pytest.raises(JobEnded):
            transition(known.replace(**stored), NOW)
        return
    new = transition(known.replace(**stored), NOW).record
    assert (new.claimed_at, new.claimed_url, new.leased_by) == (NOW, "/there/", "")


def test_a_part_that_has_ended_counts_once():
    record = Record("a", JobState.RUNNING, total=3)
    for _delivery in range(3):
        record, _change, event = transitions.end_part("one")(record, NOW)
    assert (record.current, record.state, event) == (1, JobState.RUNNING, "progress")


def test_only_the_first_part_starts_the_job():
    first = transitions.start_part(Record("a"), NOW)
    second = transitions.start_part(first.record, NOW)
    assert (first.event, first.change.stamp) == ("started", "started_at")
    assert (second.event, second.change.stamp) == ("", "")


@pytest.mark.parametrize("state", JobState)
def test_a_deadline_is_enforced_only_if_it_has_passed(state):
    step = transitions.overdue(Record("a", state), NOW)
    assert step.change.overdue and step.change.deadline == transitions.NEVER


def test_a_step_says_nothing_unless_it_names_an_event():
    assert Step(Record("a")).event == ""
