"""The states of a job, and the one table of what may follow what."""

from itertools import product

import pytest

from jobs.states import ALIVE, ENDED, JobState

ENDS = "complete failed cancelled expired lost"
# Word for word from the design: "pending, retrying → running; running → running or retrying; those three → an ended
# state"; "`lost` alone may still turn into running, retrying or another ended state".
MAY_FOLLOW = {
    "pending": f"running {ENDS}",
    "retrying": f"running {ENDS}",
    "running": f"running retrying {ENDS}",
    "lost": "running retrying complete failed cancelled expired",
}


@pytest.mark.parametrize(("before", "after"), list(product(JobState, JobState)))
def test_a_job_goes_only_where_the_table_lets_it(before, after):
    assert before.may_become(after) == (after.value in MAY_FOLLOW.get(before.value, "").split())


def test_a_state_is_the_word_that_travels():
    assert [str(state) for state in JobState] == f"pending running retrying {ENDS}".split()
    assert JobState("complete") is JobState.COMPLETE


def test_every_state_is_alive_or_ended():
    assert {state.value for state in ENDED} == set(ENDS.split())
    assert set(JobState) == ALIVE | ENDED and not ALIVE & ENDED
    assert [state for state in JobState if state.is_ended] == [
        state for state in JobState if state in ENDED
    ]


def test_every_state_has_a_name_for_people():
    labels = {str(state.label) for state in JobState}
    assert len(labels) == len(JobState) and all(labels)
