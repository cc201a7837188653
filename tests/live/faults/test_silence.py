"""F12, F40: workers that seem to have died and have not."""

import pytest

from .stack import LOST_AFTER

BUSY = 3 * LOST_AFTER  # seconds
SPARE = 8  # seconds for five busy processes on two cores
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
    with stack.extra_worker("f12.threads", "--pool", "threads"), stack.extra_worker("f12.solo", "--pool", "solo"):
        yield person, {(queue, task): person.start(task, {"queue": queue}, seconds=BUSY) for queue, task in HEALTHY}


@pytest.mark.parametrize(("queue", "task"), HEALTHY)
def test_f12_healthy_task_that_says_nothing_for_long_is_not_lost(stack, busy, queue, task):
    person, jobs = busy
    job_id = jobs[queue, task]
    person.await_state(job_id, "complete", BUSY + SPARE)
    assert len(stack.pids_of(f"ran:{job_id}")) == 1
