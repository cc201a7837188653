"""F38: Redis restarts while tasks with a late acknowledgement run; the worker may end by it (celery/kombu issue 970)."""

import pytest

from .stack import FaultStack
from .waiting import until

KEPT = ("--appendonly", "yes", "--appendfsync", "always")
TROUBLE = r"Unrecoverable error|Trying to re-establish the connection|Connection to broker lost"


@pytest.fixture
def stack(prepared_database, tmp_path):
    """Return processes whose messages outlive a restart of the broker, as in production, while jobs do not."""
    with FaultStack(prepared_database, *KEPT, "--dir", str(tmp_path)) as stack:
        yield stack


def test_f38_late_acknowledged_task_ends_well_once_though_redis_restarts_and_its_worker_with_it(stack, person):
    with stack.extra_worker("f38") as worker:
        job_id = person.start("wait_acks_late", {"queue": "f38"})
        stack.await_run(job_id)
        stack.restart_redis()
        stack.broker.stop()
        stack.broker.start()
        worker.await_line(TROUBLE, 10)
        stack.open_gate(job_id)
        until(lambda: stack.stored_state(job_id) == "complete")
        has_ended = worker.await_exit(2)
    with stack.extra_worker("f38") as after:  # what demo, or a supervisor, does when it has ended
        if has_ended:
            after.await_line(f"task not run: .*{job_id}", 5)  # delivered again, as it was not acknowledged
        assert person.await_state(person.start("keep", {"queue": "f38"}, word="more"), "complete")
    assert len(stack.pids_of(f"ran:{job_id}")) == 1


def test_f38_task_that_dies_with_its_worker_and_broker_runs_again(stack, person):
    with stack.extra_worker("f38") as worker:
        job_id = person.start("wait_acks_late", {"queue": "f38"})
        stack.await_run(job_id)
        stack.restart_redis()
        stack.broker.stop()
        stack.broker.start()
        worker.kill()
    stack.open_gate(job_id)
    with stack.extra_worker("f38"):
        until(lambda: stack.stored_state(job_id) == "complete", 15)
    assert person.look(job_id)["state"] == "complete"
    assert len(stack.pids_of(f"ran:{job_id}")) == 2
