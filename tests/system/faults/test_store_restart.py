"""F4 for workers: Redis restarts empty while tasks run; their workers still know the jobs."""

import json

import pytest

from tests.system.harness.fault_stack import LIMITS
from tests.system.harness.waiting import until

HEARTBEAT = 2  # seconds; slow, so that Redis is emptied between two beats


@pytest.fixture(scope="module")
def worker(stack):
    """Return a worker with a slow heart."""
    with stack.extra_worker(
        "f4", JOBS_SETTINGS=json.dumps(LIMITS | {"HEARTBEAT": HEARTBEAT})
    ) as worker:
        yield worker


def test_f04_data_stored_after_the_last_heartbeat_survives_an_emptied_redis(stack, person, worker):
    job_id = person.start("write_and_wait", {"queue": "f4"})
    stack.await_run(job_id)
    until(lambda: stack.stored_state(job_id) == "running")
    stack.open_gate(f"{job_id}.write")
    until(lambda: stack.pids_of(f"stored:{job_id}"))
    stack.restart_redis()
    until(lambda: stack.stored_state(job_id) == "running", HEARTBEAT + 2)  # as the heart knows it
    stack.open_gate(job_id)
    job = person.await_state(job_id, "complete")
    assert (job["data"]["word"], job["attempt"]) == ("stored", 1)


def test_f04_a_silent_new_job_survives_an_emptied_redis(stack, person, worker):
    first = person.start("wait", {"queue": "f4"})
    stack.await_run(first)
    second = person.start("wait", {"queue": "f4"})
    stack.await_run(second)
    stack.restart_redis()
    until(lambda: stack.stored_state(second) == "running", HEARTBEAT + 2)
    for job_id in (first, second):
        stack.open_gate(job_id)
        assert person.await_state(job_id, "complete")["attempt"] == 1
