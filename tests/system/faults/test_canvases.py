"""F23: groups, chains and chords, each one job with one outcome."""

import pytest

from tests.system.harness.fault_stack import FaultStack

WELL, BADLY, UNKNOWN = {"name": "well"}, {"name": "badly", "fails": True}, None
OUTCOMES = {
    "all end well": ([WELL, WELL, WELL], "complete", ""),
    "one fails": ([WELL, BADLY, WELL], "failed", "This part cannot be done."),
    "one is unknown": (
        [WELL, UNKNOWN, WELL],
        "failed",
        "The work was interrupted before it was done.",
    ),
}


class CanvasStack(FaultStack):
    """Processes that keep results, without which a chord does not go on."""

    def start_redis(self):
        super().start_redis()
        self.extra_env["RESULTS"] = self.broker.database_url(2)


@pytest.fixture(scope="module")
def stack(prepared_database):
    with CanvasStack(prepared_database) as stack:
        yield stack


def start(person, kind, parts):
    """Start a canvas by a view; return its job's id."""
    answer = person.client.post(f"/faults/canvas/{kind}/", json=parts)
    assert answer.status_code == 302, answer.text[:300]
    return answer.headers["Location"].rstrip("/").rpartition("/")[2]


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("kind", ["group", "chain", "chord"])
def test_f23_canvas_is_one_job_with_one_outcome(stack, person, kind, outcome):
    parts, state, error = OUTCOMES[outcome]
    job_id = start(person, kind, parts)
    with person.waiting_page(job_id) as page:
        ended = page.hear_the_end()["job"]
    assert (ended["state"], ended["error"], ended["progress"]["total"]) == (state, error, 3)
    assert person.press("ready", job_id).status_code == 200
    assert len(stack.pids_of(f"hook:{job_id}")) == (state == "complete")
    stack.await_quiet()
    assert person.look(job_id)["version"] > ended["version"]  # it was claimed, and nothing else
    assert person.look(job_id)["state"] == state


@pytest.mark.parametrize(("kind", "parts"), [("group", []), ("chain", []), ("chord", [WELL])])
def test_f23_canvas_that_is_empty_or_whose_header_is_ends_well(stack, person, kind, parts):
    job_id = start(person, kind, parts)
    person.await_state(job_id, "complete")
    assert person.press("ready", job_id).status_code == 200
    assert len(stack.pids_of(f"hook:{job_id}")) == 1


def test_f23_parts_of_a_chain_after_the_one_that_fails_are_not_run(stack, person):
    job_id = start(person, "chain", [{"name": "before"}, BADLY, {"name": "after"}])
    person.await_state(job_id, "failed")
    stack.await_quiet()
    assert stack.pids_of("part:before") and not stack.pids_of("part:after")
