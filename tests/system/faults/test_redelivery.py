"""F13, F14, F39, F40, F49: jobs that run more than once, and workers that come back."""

import os
import signal

import pytest

from tests.system.harness.fault_stack import LOST_AFTER
from tests.system.harness.stack import paused
from tests.system.harness.waiting import until

SPARE = 5  # seconds for a worker to start and to look for messages that nobody has acknowledged


def test_f13_a_redelivered_success_corrects_lost_only_before_the_claim(stack, person):
    with stack.extra_worker("f13") as worker:
        waiting, told = (person.start("wait_acks_late", {"queue": "f13"}) for _ in range(2))
        stack.await_run(waiting), stack.await_run(told)
        worker.kill()
    for job_id in (waiting, told):
        person.await_state(job_id, "lost", LOST_AFTER + 1)
        stack.open_gate(job_id)
    assert person.press("ready", told).status_code == 200
    stack.await_redelivery()
    with person.waiting_page(waiting) as page, stack.extra_worker("f13") as worker:
        assert page.hear("ready", SPARE)["job"]["attempt"] == 2
        worker.await_line(f"task not run: .*{told}", SPARE)
    assert (person.look(told)["state"], len(stack.pids_of(f"ran:{told}"))) == ("lost", 1)
    assert person.press("ready", waiting).status_code == 200
    assert len(stack.pids_of(f"hook:{waiting}")) == 1


@pytest.fixture(scope="module")
def workers(stack):
    """Return two workers, one of the queue `first` and one of the queue `second`."""
    with (
        stack.extra_worker("first", "-c2") as first,
        stack.extra_worker("second", "-c2") as second,
    ):
        yield first, second


def run_twice(stack, person, workers, task):
    """Return a job that both workers run: the first was frozen past T, so the second has it."""
    job_id = person.start(task, {"queue": "nobody"})
    with stack.broker_client() as client:
        message = client.rpop("nobody")
        client.rpush("first", message)
        stack.await_run(job_id)
        with paused(workers[0]):
            person.await_state(job_id, "lost", LOST_AFTER + 1)
            client.rpush("second", message)
            stack.await_run(job_id, 2)
    return job_id


def put_back(worker, job_id):
    """Return the lines in which a worker says that it does not run the job yet."""
    return [line for line in worker.lines if f"not run yet: Job {job_id} is run by" in line]


ONE_AT_A_TIME = ("-c1", "--prefetch-multiplier", "1")  # else it takes the second delivery itself


def test_f49_message_that_is_delivered_again_waits_while_the_first_attempt_lives(stack, person):
    with stack.extra_worker("f49", *ONE_AT_A_TIME):
        job_id = person.start("wait_acks_late", {"queue": "f49"})
        stack.await_run(job_id)
        with person.waiting_page(job_id) as page, stack.extra_worker("f49") as again:
            until(lambda: len(put_back(again, job_id)) > 2, 30)  # kombu looks every 10 s
            stack.open_gate(job_id)
            assert page.hear("ready")["job"]["attempt"] == 1
    assert len(stack.pids_of(f"ran:{job_id}")) == 1


def test_f49_second_delivery_takes_over_when_the_first_worker_has_died(stack, person):
    with stack.extra_worker("f49", *ONE_AT_A_TIME) as worker:
        job_id = person.start("wait_acks_late", {"queue": "f49"})
        stack.await_run(job_id)
        with stack.extra_worker("f49") as again:
            until(lambda: put_back(again, job_id), 20)
            worker.kill()
            stack.await_run(job_id, 2)
            stack.open_gate(job_id)
            assert person.await_state(job_id, "complete")["attempt"] == 2


def test_f14_two_workers_with_the_same_message_make_one_outcome_and_one_hook(
    stack, person, workers
):
    job_id = run_twice(stack, person, workers, "wait")
    with person.waiting_page(job_id) as page:
        stack.open_gate(job_id)
        assert page.hear("ready")["job"]["attempt"] == 2
        workers[0].await_line(f"{job_id}: attempt 1 was overtaken by 2", SPARE)
        assert person.press("ready", job_id).status_code == 200
    assert [frame["event"] for frame in page.frames].count("ready") == 1
    assert len(stack.pids_of(f"hook:{job_id}")) == 1


def test_f14_loser_that_is_refused_does_not_end_the_job_of_the_winner(stack, person, workers):
    job_id = run_twice(stack, person, workers, "work")
    workers[0].await_line(f"{job_id}.* raised expected: JobEnded", SPARE)
    workers[0].await_line(f"job {job_id}: not failed: it is no longer run by", SPARE)
    stack.open_gate(job_id)
    assert person.await_state(job_id, "complete")["attempt"] == 2


def test_f14_death_of_the_loser_does_not_end_the_job_of_the_winner(stack, person, workers):
    job_id = run_twice(stack, person, workers, "wait")
    os.kill(stack.pids_of(f"ran:{job_id}")[0], signal.SIGKILL)
    workers[0].await_line(f"job {job_id}: not failed: it is no longer run by", 6)
    stack.open_gate(job_id)
    assert person.await_state(job_id, "complete")["attempt"] == 2


@pytest.mark.parametrize(("task", "deliveries"), [("poison", 2), ("poison_for_ever", 4)])
def test_f39_poison_stops_after_the_retries_of_its_task_or_after_three(
    stack, person, task, deliveries
):
    job_id = person.start(task)
    job = person.await_state(job_id, "failed", 25)
    assert job["error"] == "The work was interrupted again and again."
    assert len(stack.pids_of(f"ran:{job_id}")) == deliveries  # the first, and those that try again


def test_f40_frozen_worker_corrects_lost_before_the_person_was_told_and_never_after(
    stack, person, workers
):
    worker, _ = workers
    waiting, told = (person.start("wait", {"queue": "first"}) for _ in range(2))
    stack.await_run(waiting), stack.await_run(told)
    with paused(worker):
        for job_id in (waiting, told):
            person.await_state(job_id, "lost", LOST_AFTER + 1)
            stack.open_gate(job_id)
        assert person.press("ready", told).status_code == 200
    until(lambda: person.look(waiting)["state"] == "complete")
    worker.await_line(f"{told} is lost and cannot become complete", 5)
    assert person.look(told)["state"] == "lost"
    assert person.press("ready", waiting).status_code == 200
    assert stack.pids_of(f"hook:{waiting}") and not stack.pids_of(f"hook:{told}")
