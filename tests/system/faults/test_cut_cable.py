"""F42: jobs that end, and jobs that would begin, while their worker cannot reach the store."""

import json

import pytest

from tests.system.harness.fault_stack import LIMITS, LOST_AFTER, RECONCILE
from tests.system.harness.proxy import Proxy
from tests.system.harness.waiting import until

MENDED = 25  # seconds after the mending


@pytest.fixture(scope="module")
def cable(stack):
    """Return the link through which a worker reaches the store."""
    with Proxy(stack.redis.port) as cable:
        yield cable


@pytest.fixture(scope="module")
def worker(stack, cable):
    """Return a worker at the other end of the cable; the broker it reaches directly."""
    with stack.extra_worker("f42", "-c2", REDIS_URL=address(cable)) as worker:
        yield worker


def address(cable):
    """Return the store's address behind the cable."""
    return f"redis://127.0.0.1:{cable.port}/0"


def end_behind_a_cut(stack, person, cable, worker, *queues):
    """Return jobs, one of each queue, that have ended behind the cut cable."""
    jobs = [person.start("wait", {"queue": queue}) for queue in queues]
    for job_id in jobs:
        stack.await_run(job_id)
    cable.silence()
    for job_id in jobs:
        stack.open_gate(job_id)
    for job_id in jobs:
        worker.await_line(f"job {job_id}: complete, kept for later", 10)
    return jobs


def test_f42_a_job_that_ended_behind_a_cut_cable_is_archived_and_ready(
    stack, person, cable, worker
):
    watched, unread = end_behind_a_cut(stack, person, cable, worker, "f42", "f42")
    until(lambda: stack.archived_state(watched) == stack.archived_state(unread) == "complete", 1)
    with person.waiting_page(watched) as page:
        assert page.hear_the_end(LOST_AFTER + RECONCILE + 1)["event"] == "ready"
        assert stack.stored_state(unread) == "running"
        stack.call("plain", "f42", word="meanwhile")
        until(lambda: stack.pids_of("meanwhile"), 5)
        cable.speak()
        until(lambda: stack.stored_state(unread) == "complete", MENDED)
        worker.await_line(f"written too late: Job {watched} is complete", MENDED)
    assert [frame["event"] for frame in page.frames].count("ready") == 1
    assert person.press("ready", watched).status_code == 200
    assert len(stack.pids_of(f"hook:{watched}")) == 1


def test_f42_without_an_archive_the_page_hears_lost_and_then_ready(stack, person, cable):
    env = {"REDIS_URL": address(cable), "JOBS_SETTINGS": json.dumps(LIMITS | {"ARCHIVE": False})}
    with stack.extra_worker("f42.bare", "-c1", **env) as worker:
        [job_id] = end_behind_a_cut(stack, person, cable, worker, "f42.bare")
        with person.waiting_page(job_id) as page:
            page.hear("lost", LOST_AFTER + RECONCILE + 1)
            cable.speak()
            page.hear("ready", MENDED)


def test_f42_a_job_behind_a_cut_cable_begins_when_it_is_mended(stack, person, cable, worker):
    cable.silence()
    job_id = person.start("keep", {"queue": "f42"}, word="late")
    worker.await_line("task not run yet", 10)
    stack.call("plain", "f42", word="between")
    until(lambda: stack.pids_of("between"), 5)
    assert person.look(job_id)["state"] == "pending"
    cable.speak()
    assert person.await_state(job_id, "complete", MENDED)["attempt"] == 1
