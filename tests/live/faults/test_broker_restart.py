"""F38: Redis restarts while tasks with a late acknowledgement run; Celery's worker may end (celery/kombu issue 970)."""

import pytest

from project.demo.stack import READY_TIMEOUT

from .stack import FaultStack
from .waiting import until

KEPT = ("--appendonly", "yes", "--appendfsync", "always")


@pytest.fixture
def stack(prepared_database, tmp_path):
    """Return processes whose messages and jobs outlive a restart of Redis, as in production."""
    with FaultStack(prepared_database, *KEPT, "--dir", str(tmp_path)) as stack:
        yield stack


def restart_broker(stack):
    stack.broker.stop()
    stack.broker.start()


def test_f38_experiment(stack, person):
    with stack.extra_worker("f38") as worker:
        job_id = person.start("wait_acks_late", {"queue": "f38"})
        stack.await_run(job_id)
        restart_broker(stack)
        ended = worker.await_exit(8)
        print("ENDED", ended, worker.obituary if ended else worker.lines)
        print("\n".join(worker.lines))
        print(person.look(job_id)["state"])
        stack.open_gate(job_id)
        if ended:
            with stack.extra_worker("f38"):
                print(person.await_state(job_id, "complete", 15))
        else:
            print(person.await_state(job_id, "complete", 15))
    print(stack.pids_of(f"ran:{job_id}"))
