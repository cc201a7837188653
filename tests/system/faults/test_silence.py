"""F12: workers that seem to have died and have not. All their tasks run at the same time."""

from contextlib import ExitStack

import pytest

from tests.system.harness.fault_stack import LOST_AFTER
from tests.system.harness.waiting import until

BUSY = round(3 * LOST_AFTER)  # seconds
SPARE = 8  # seconds for the busy processes on two cores
POOLS = {"f12.threads": "threads", "f12.solo": "solo", "f12.lock": "threads"}
LOCKED = ("f12.lock", "hold_the_lock", round(LOST_AFTER + 1))
HEALTHY = [
    ("celery", "sleep", BUSY),
    ("celery", "burn", BUSY),
    ("celery", "hold_the_lock", BUSY),
    ("f12.threads", "sleep", BUSY),
    ("f12.threads", "burn", BUSY),
    ("f12.solo", "burn", BUSY),
]


@pytest.fixture(scope="module")
def busy(stack):
    """Return the person who has started all of the tasks, and their jobs."""
    person = stack.person()
    with ExitStack() as workers:
        for queue, pool in POOLS.items():
            workers.enter_context(stack.extra_worker(queue, "--pool", pool))
        yield (
            person,
            {
                (queue, task, seconds): person.start(task, {"queue": queue}, seconds=seconds)
                for queue, task, seconds in (*HEALTHY, LOCKED)
            },
        )


def test_f12_a_thread_pool_that_holds_the_lock_is_lost_until_it_ends(
    busy,
):
    person, jobs = busy
    job_id = jobs[LOCKED]
    person.await_state(job_id, "lost", LOST_AFTER + SPARE)
    until(lambda: person.look(job_id)["state"] == "complete", SPARE)


@pytest.mark.parametrize(("queue", "task", "seconds"), HEALTHY)
def test_f12_healthy_task_that_says_nothing_for_long_is_not_lost(
    stack, busy, queue, task, seconds
):
    person, jobs = busy
    job_id = jobs[queue, task, seconds]
    person.await_state(job_id, "complete", seconds + SPARE)
    assert len(stack.pids_of(f"ran:{job_id}")) == 1
    if task == "hold_the_lock":
        assert stack.longest_silence(job_id) >= seconds  # no other thread of its process could run
