"""F17, F18, F19, F20: jobs and the transactions of the view and of the task."""

import signal
import sqlite3
import sys
from contextlib import closing

import pytest

from project.demo.processes import Child
from tests.system.harness.waiting import until

START_AND_STOP = """
import os, signal
import django
django.setup()
from celery.signals import after_task_publish
from tests.system.projects.faultjobs.tasks import keep
after_task_publish.connect(lambda **_: os.kill(os.getpid(), signal.SIGSTOP), weak=False)
keep.submit_job(None, kwargs={"word": "instant"}, task_id="f18-instant")
print("went on")
"""


@pytest.fixture
def person(person):
    """Return somebody with a stored session: the task's transaction would keep SQLite's writer."""
    person.await_state(person.start("sleep", seconds=0), "complete")
    return person


def rows_named(stack, name):
    """Count the rows that a task has written, as seen by another connection."""
    with closing(sqlite3.connect(stack.database)) as connection:
        return connection.execute(
            "SELECT count(*) FROM auth_group WHERE name = ?", [name]
        ).fetchone()[0]


def test_f17_view_that_rolls_back_leaves_no_record_and_no_message(stack, person):
    options = {"task_id": "f17-rolled-back", "queue": "f17"}
    body = {"kwargs": {}, "options": options}
    assert person.client.post("/faults/wait/rolled-back/", json=body).status_code == 500
    assert stack.pids_of("drafted:f17-rolled-back")
    assert person.client.get("/jobs/f17-rolled-back/").status_code == 404
    with stack.store_client() as store, stack.broker_client() as broker:
        assert not store.keys("*f17-rolled-back*")
        assert not broker.exists("f17")


def test_f18_instant_worker_finds_the_record_of_a_web_process_that_stopped_there(stack, person):
    web = Child("web", [sys.executable, "-c", START_AND_STOP], stack.env)
    try:
        with stack.store_client() as client:
            until(lambda: client.hget("jobs:{f18-instant}", "state") == b'"complete"')
        assert "went on" not in web.lines
        web.signal(signal.SIGCONT)
        web.await_success(5)
    finally:
        web.stop(grace=0)


def test_f19_job_completed_inside_a_transaction_is_ready_only_after_the_commit(stack, person):
    job_id = person.start("in_transaction", roll_back=False)
    with person.waiting_page(job_id) as page:
        while "row" not in person.look(job_id)["data"]:
            page.listen()
        assert person.look(job_id)["state"] == "running"
        assert not rows_named(stack, job_id)
        stack.open_gate(job_id)
        assert page.hear("ready")["job"]["data"]["row"] == job_id
        assert rows_named(stack, job_id)


def test_f19_job_whose_transaction_is_rolled_back_has_failed(stack, person):
    job_id = person.start("in_transaction", roll_back=True)
    stack.open_gate(job_id)
    assert person.await_state(job_id, "failed")["error"] == "The transaction was rolled back."
    assert not rows_named(stack, job_id)


def test_f20_progress_inside_a_transaction_is_seen_at_once(stack, person):
    job_id = person.start("in_transaction", roll_back=False)
    seen = until(
        lambda: person.look(job_id)["progress"]["message"] == "inside" and person.look(job_id)
    )
    assert seen["progress"]["percent"] == 25
    assert not rows_named(stack, job_id)
    stack.open_gate(job_id)
    person.await_state(job_id, "complete")
