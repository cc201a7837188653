"""F16, F38: a broker or a store is down, hangs or restarts, before a job or while it runs."""

import time

import pytest

from tests.system.harness.fault_stack import FaultStack, down, hanging
from tests.system.harness.waiting import until

STORE_GIVEN_UP = 5  # seconds; two tries of 2 s
BROKER_GIVEN_UP = 7  # seconds; three tries of 2 s: write, connect, connect again
KEPT = ("--appendonly", "yes", "--appendfsync", "always")
TROUBLE = r"Unrecoverable error|Trying to re-establish the connection|Connection to broker lost"


@pytest.fixture(scope="module")
def stack(prepared_database, tmp_path_factory):
    """Return processes whose messages survive a restart of the broker; the jobs do not."""
    folder = str(tmp_path_factory.mktemp("broker"))
    with FaultStack(prepared_database, *KEPT, "--dir", folder, has_worker=False) as stack:
        yield stack


@pytest.mark.parametrize("trouble", [down, hanging])
def test_f16_a_broken_broker_fails_the_job_and_nothing_runs_later(stack, person, trouble):
    started = time.monotonic()
    with trouble(stack.broker):
        job_id = person.start("keep", {"queue": "f16"}, word="ghost")
        job = person.look(job_id)
        assert time.monotonic() - started < BROKER_GIVEN_UP
        assert "The work could not be started" in person.client.get(f"/jobs/{job_id}/").text
    assert (job["state"], job["error"]) == (
        "failed",
        "The work could not be started. Please try again later.",
    )
    after = person.start("keep", {"queue": "f16"}, word="afterwards")
    with stack.extra_worker("f16", "-c1"):
        assert person.await_state(after, "complete")
    assert "copy of word" not in person.look(job_id)["data"]
    assert person.look(job_id)["state"] == "failed"


@pytest.mark.parametrize("trouble", [down, hanging])
def test_f16_a_broken_store_gives_a_503_page_and_no_job(stack, person, trouble):
    person.start(
        "keep", {"queue": "f16.before"}
    )  # the server has a connection now, which can take what is sent
    with stack.store_client() as store:
        before = set(store.keys("jobs:{*"))
    started = time.monotonic()
    with trouble(stack.redis):
        answer = person.try_to_start("keep", {"queue": "f16.store"}, word="ghost")
        assert time.monotonic() - started < STORE_GIVEN_UP
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "StoreUnavailable" not in answer.text and "Traceback" not in answer.text
    with stack.broker_client() as broker:
        assert not broker.exists("f16.store")
    until(
        lambda: person.try_to_start("keep", {"queue": "f16.after"}).status_code == 302
    )  # so all has arrived by now
    with stack.store_client() as store:
        until(lambda: len(set(store.keys("jobs:{*")) - before) == 1)


@pytest.mark.parametrize("trouble", [down, hanging])
def test_f16_view_may_catch_store_unavailable(stack, person, trouble):
    with trouble(stack.redis):
        answer = person.client.post(
            "/faults/keep/caught/", json={"kwargs": {"word": "x"}, "options": {}}
        )
    assert (answer.status_code, answer.text) == (200, "Please come back later.")


def restart_both(stack):
    """Restart both: the jobs are gone, the messages are not."""
    stack.restart_redis()
    stack.broker.stop()
    stack.broker.start()


def test_f38_a_late_acknowledged_task_survives_restarts_of_redis_and_worker(stack, person):
    with stack.extra_worker("f38") as worker:
        job_id = person.start("wait_acks_late", {"queue": "f38"})
        stack.await_run(job_id)
        restart_both(stack)
        worker.await_line(TROUBLE, 10)
        stack.open_gate(job_id)
        until(lambda: stack.stored_state(job_id) == "complete")
        has_ended = worker.await_exit(2)
    stack.await_redelivery()
    with stack.extra_worker("f38") as after:  # what demo, or a supervisor, does when it has ended
        if has_ended:
            after.await_line(
                f"task not run: .*{job_id}", 5
            )  # delivered again, as it was not acknowledged
        assert person.await_state(person.start("keep", {"queue": "f38"}, word="more"), "complete")
    assert len(stack.pids_of(f"ran:{job_id}")) == 1


def test_f38_task_that_dies_with_its_worker_and_broker_runs_again(stack, person):
    with stack.extra_worker("f38") as worker:
        job_id = person.start("wait_acks_late", {"queue": "f38"})
        stack.await_run(job_id)
        restart_both(stack)
        worker.kill()
    stack.open_gate(job_id)
    stack.await_redelivery()
    with stack.extra_worker("f38"):
        until(lambda: stack.stored_state(job_id) == "complete", 15)
    assert person.look(job_id)["state"] == "complete"
    assert len(stack.pids_of(f"ran:{job_id}")) == 2
