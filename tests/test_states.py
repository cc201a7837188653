"""The states of a job, their words, their transitions, and every other place that lists them."""

import re
from itertools import product
from pathlib import Path

import pytest

from jobs.core.event_names import OF_STATE, PROGRESS
from jobs.states import ALIVE, ENDED, TRANSITIONS, JobState

ROOT = Path(__file__).parent.parent
SCRIPTS = ROOT / "frontend" / "static" / "jobs"
ENDS = "complete failed cancelled expired lost"
# Word for word from the design: "pending, retrying → running; running → running or retrying; those
# three → an ended state"; "`lost` alone may still turn into running, retrying or another ended
# state".
MAY_FOLLOW = {
    "pending": f"running {ENDS}",
    "retrying": f"running {ENDS}",
    "running": f"running retrying {ENDS}",
    "lost": "running retrying complete failed cancelled expired",
}


@pytest.mark.parametrize(("before", "after"), list(product(JobState, JobState)))
def test_a_job_moves_only_where_the_table_allows(before, after):
    assert before.may_become(after) == (after.value in MAY_FOLLOW.get(before.value, "").split())


def test_a_state_is_the_word_on_the_wire():
    assert [str(state) for state in JobState] == f"pending running retrying {ENDS}".split()
    assert JobState("complete") is JobState.COMPLETE


def test_every_state_is_either_alive_or_ended():
    assert {state.value for state in ENDED} == set(ENDS.split())
    assert set(JobState) == ALIVE | ENDED and not ALIVE & ENDED
    assert {state for state in JobState if state.is_ended} == ENDED


@pytest.mark.parametrize("words", ["label", "status"])
def test_every_state_has_words_of_its_own(words):
    texts = {str(getattr(state, words)) for state in JobState}
    assert len(texts) == len(JobState) and all(texts)


def names_in(file, names, section=r"(?s).*"):
    """Return the names that a pattern finds in a file, or in a section of the file."""
    text = re.search(section, file.read_text())[0]
    return set(re.findall(names, text))


# Every place that lists states by hand, the states that it must list, and those that it lists.
# A new state is one line in jobs/states.py. Then this test names the places that have to follow.
PLACES = {
    "jobs/states.py TRANSITIONS": (JobState, lambda: set(TRANSITIONS)),
    "jobs/core/event_names.py OF_STATE": (JobState, lambda: set(OF_STATE)),
    "types.d.ts State": (
        JobState,
        lambda: names_in(SCRIPTS / "types.d.ts", r'"(\w+)"', r"(?s)type State =.*?;"),
    ),
    "client/events.js ENDED": (
        ENDED,
        lambda: names_in(SCRIPTS / "client" / "events.js", r'"(\w+)"', "ENDED = .*"),
    ),
    "jobs.css sign in the ring": (
        ENDED,
        lambda: names_in(SCRIPTS / "jobs.css", r"\[data-state=(\w+)\]"),
    ),
    "admin.css colours of the summary": (
        ENDED,
        lambda: names_in(SCRIPTS / "admin.css", r"\.jobs-(\w+) { fill"),
    ),
    "docs/reference.md table of states": (
        JobState,
        lambda: names_in(ROOT / "docs" / "reference.md", r"(?m)^\| `(\w+)` \| [^|]* \| [^|]* \|$"),
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_every_list_of_states_is_complete(place):
    wanted, find = PLACES[place]
    missing = set(wanted) - find()
    assert not missing, f"{place} does not know {missing}"


@pytest.mark.parametrize("place", ["types.d.ts State", "client/events.js ENDED"])
def test_scripts_know_no_other_states(place):
    wanted, find = PLACES[place]
    assert find() == set(wanted)


def test_scripts_and_server_name_the_same_events():
    script = (SCRIPTS / "client" / "events.js").read_text()
    pairs = dict(re.findall(r'\["(\w+)", "(\w+)"\]', script))
    events = {state: pairs.get(state, state) for state in JobState}
    assert events == OF_STATE | {JobState.RUNNING: PROGRESS}  # a poll cannot see the start
    known = re.search(r"EVENTS = /\^\((.*)\)", script)[1].split("|")
    assert set(known) == {*OF_STATE.values(), PROGRESS}


def test_style_sheets_know_a_living_state_by_its_ending():
    assert "[data-state$=ing]" in (SCRIPTS / "jobs.css").read_text()
    assert {state for state in JobState if state.endswith("ing")} == ALIVE
