"""F28, F29: data comes back equal or is refused, and no progress is too much or too odd."""

import math
from contextlib import ExitStack

import pytest

from tests.system.harness.stack import paused

WORDS = {
    "emoji": "👩🏽‍🏫 ready",
    "nul": "a\0b",
    "lone surrogate": "\ud800 and \udfff",
    "a.b{c}": {"": [None, True, 1.5, -0.25, "", {"deep": [[[[1]]]]}]},
    "large": 2**64 + 1,
    "tiny": 5e-324,
    "not ascii: ä\r\n": "\u2028\u202e</script>",
    "__proto__": {"__class__": "x"},
    "two-fifths": "x" * 100_000,
}


def test_f28_task_page_and_archive_read_equal_data(stack, person):
    job_id = person.start("keep", **WORDS)
    expected = WORDS | {f"copy of {key}": value for key, value in WORDS.items()}
    assert person.await_state(job_id, "complete")["data"] == expected
    with stack.store_client() as client:
        assert client.delete(f"jobs:{{{job_id}}}")
    assert person.look(job_id)["data"] == expected


@pytest.mark.parametrize(
    "value",
    ["nan", "infinity", "date", "lazy", "tuple", "bytes", "typed", "key", "deep", "megabyte"],
)
def test_f28_a_value_that_json_would_change_is_refused_by_name(stack, person, value):
    job = person.await_state(person.start("refuse", value=value), "complete")
    assert "data['odd']" in job["data"]["refusal"]
    assert "odd" not in job["data"]


def test_f28_view_that_gives_a_megabyte_stores_and_sends_nothing(stack, person):
    answer = person.try_to_start(
        "keep", {"task_id": "f28-large", "queue": "f28"}, large="x" * 2**20
    )
    assert answer.status_code == 500
    with stack.store_client() as store, stack.broker_client() as broker:
        assert not store.exists("jobs:{f28-large}")
        assert not broker.exists("f28")


def said_by(stack, person, task, **kwargs):
    """Run a task that ends well, and return the job as each progress frame shows it."""
    with ExitStack() as page_is_open:
        with paused(stack.worker):
            job_id = person.start(task, **kwargs)
            page = page_is_open.enter_context(person.waiting_page(job_id))
            page.hear("created")
        assert page.hear_the_end(20)["event"] == "ready"
    return [frame["job"] for frame in page.frames if frame["event"] == "progress"]


def test_f29_five_thousand_progress_calls_make_ten_frames_a_second(stack, person):
    jobs = said_by(stack, person, "flood", calls=5000, seconds=1)
    versions = [job["version"] for job in jobs]
    assert len(jobs) >= 10
    assert all(
        later - earlier > 0.95e6 for earlier, later in zip(versions, versions[10:], strict=False)
    )
    assert (
        jobs[-1]["progress"]["current"] == 5000
    )  # the last call, before the end, in a frame of its own


def test_f29_rubbish_for_progress_gives_an_honest_percent_or_none_and_no_exception(stack, person):
    jobs = said_by(stack, person, "say_rubbish")
    assert len(jobs) >= 10
    for said in (job["progress"] for job in jobs):
        assert said["percent"] is None or 0 <= said["percent"] <= 99
        assert math.isfinite(said["current"]) and said["current"] >= 0
        assert said["total"] is None or said["total"] > 0
