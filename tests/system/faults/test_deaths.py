"""F10, F11: processes and whole workers that die."""

import os
import signal
from datetime import datetime

import pytest

from tests.system.harness.fault_stack import LOST_AFTER, RECONCILE
from tests.system.harness.stack import paused

HAS_PIDFD = hasattr(os, "pidfd_open")  # the kernel tells at once; Celery itself looks every 5 s
SEEN_DYING = 2 if HAS_PIDFD else 5  # seconds
SPARE = 1.5  # seconds for a busy machine to start, write and answer


@pytest.mark.parametrize("how", ["SIGKILL", "SIGSEGV", "os._exit", "SystemExit"])
def test_f10_job_whose_process_dies_has_failed_within_5_seconds(stack, person, how):
    job_id = person.start("die", how=how)
    stack.await_run(job_id)
    job = person.await_state(job_id, "failed", SEEN_DYING + SPARE)
    assert job["error"] == "The work was interrupted before it was done."


def test_f10_job_whose_process_is_killed_from_outside_has_failed_within_5_seconds(stack, person):
    job_id = person.start("sleep", seconds=60)
    os.kill(stack.await_run(job_id), signal.SIGKILL)
    assert person.await_state(job_id, "failed", SEEN_DYING)["error"]


def test_f10_processes_that_replace_dead_ones_run_jobs_at_once(stack, person):
    for _ in range(
        8
    ):  # a child that is forked while its parent archives a job could wait without end
        killed = person.start("sleep", seconds=60)
        os.kill(stack.await_run(killed), signal.SIGKILL)
        person.await_state(killed, "failed", SEEN_DYING)
        together = [person.start("sleep", seconds=0.1) for _ in range(4)]
        for job_id in together:
            person.await_state(job_id, "complete", 3)


def test_f10_job_over_its_hard_time_limit_has_failed_within_a_second(stack, person):
    job_id = person.start("overstay")
    stack.await_run(job_id)
    job = person.await_state(job_id, "failed", 1 + 1 + SPARE)  # its limit is one second
    assert job["error"] == "The work took too long and was stopped."
    assert took(job) < 2


def took(job):
    """Return the seconds from start to end."""
    started, ended = (datetime.fromisoformat(job[name]) for name in ("started_at", "ended_at"))
    return (ended - started).total_seconds()


def test_f11_a_killed_worker_s_job_is_lost_in_time_for_every_reader(stack, person):
    reader = stack.person()
    with stack.extra_worker("f11") as worker, paused(stack.worker):
        listed, read_once = (
            somebody.start("wait", {"queue": "f11"}) for somebody in (person, reader)
        )
        stack.await_run(listed), stack.await_run(read_once)
        with person.list_page() as page:
            page.hear("started")
            worker.kill()
            frame = page.hear("lost", LOST_AFTER + RECONCILE + SPARE)
    assert frame["job"]["id"] == listed
    assert stack.stored_state(read_once) == "running"  # nobody has looked yet
    assert reader.look(read_once)["state"] == "lost"
