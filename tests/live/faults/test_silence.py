"""F12, F40: workers that seem to have died and have not."""

import pytest

from .stack import LOST_AFTER
from .waiting import until

BUSY = round(3 * LOST_AFTER)  # seconds
SPARE = 8  # seconds for the busy processes on two cores
HEALTHY = [
    ("celery", "sleep"),
    ("celery", "burn"),
    ("celery", "hold_the_lock"),
    ("f12.threads", "sleep"),
    ("f12.threads", "burn"),
    ("f12.solo", "burn"),
]


@pytest.fixture(scope="module")
def busy(stack):
    """Return the person who has started all of them at once, and the jobs."""
    person = stack.person()
    threads = stack.extra_worker("f12.threads", "--pool", "threads")
    with threads, stack.extra_worker("f12.solo", "--pool", "solo"):
        yield person, {(queue, task): person.start(task, {"queue": queue}, seconds=BUSY) for queue, task in HEALTHY}


@pytest.mark.parametrize(("queue", "task"), HEALTHY)
def test_f12_healthy_task_that_says_nothing_for_long_is_not_lost(stack, busy, queue, task):
    person, jobs = busy
    job_id = jobs[queue, task]
    person.await_state(job_id, "complete", BUSY + SPARE)
    assert len(stack.pids_of(f"ran:{job_id}")) == 1
    if task == "hold_the_lock":
        assert stack.longest_silence(job_id) >= BUSY  # no other thread of its process could run


def test_f12_lock_held_in_a_pool_without_processes_is_taken_for_lost_and_corrected_at_the_end(stack, person):
    with stack.extra_worker("f12.lock", "--pool", "threads"):
        job_id = person.start("hold_the_lock", {"queue": "f12.lock"}, seconds=round(LOST_AFTER + 1))
        person.await_state(job_id, "lost", LOST_AFTER + SPARE)
        until(lambda: person.look(job_id)["state"] == "complete", SPARE)
