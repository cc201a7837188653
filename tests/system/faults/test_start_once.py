"""H24: the same work is started many times at once, and whatever dies, one job does it."""

import asyncio
import json
import sys

import httpx
import pytest

from project.demo.processes import Child
from tests.system.harness.fault_stack import LOST_AFTER, FaultStack
from tests.system.harness.waiting import until

POSTS = 200
DIE_BEFORE_SENDING = """
import os, signal
import django
django.setup()
from celery.signals import before_task_publish
from tests.system.projects.faultjobs.tasks import hurry
before_task_publish.connect(lambda **_: os.kill(os.getpid(), signal.SIGKILL), weak=False)
hurry.submit_job(None, owner="{owner}", task_id="{job_id}", unique="{key}")
"""


class Servers(FaultStack):
    """The same, with two further servers and no worker."""

    def start(self):
        super().start()
        self.urls = [self.base_url]
        first, port = self.server, self.port
        for _ in range(2):
            self.server, self.port = None, 0
            self.listen()
            self.start_server()
            self.await_server()
            self.extras.append(self.server)
            self.urls.append(self.base_url)
        self.server, self.port = first, port


@pytest.fixture(scope="module")
def stack(prepared_database):
    """Return three servers; a test starts its own worker."""
    with Servers(prepared_database, has_worker=False) as stack:
        yield stack


def start(person, key, task="wait", queue="nobody", **more):
    """Start a task under a key; return the job's id."""
    return person.start(task, {"unique": key, "queue": queue, **more})


async def post_many(stack, cookies, key):
    """Post the same form to all servers at once; return the answers."""
    limits = httpx.Limits(max_connections=POSTS)
    body = {"kwargs": {}, "options": {"unique": key, "queue": key}}
    async with httpx.AsyncClient(
        cookies=cookies, limits=limits, timeout=120, trust_env=False
    ) as client:
        urls = [stack.urls[n % len(stack.urls)] for n in range(POSTS)]
        return await asyncio.gather(
            *(client.post(f"{url}/faults/wait/", json=body) for url in urls)
        )


async def test_h24_two_hundred_posts_through_three_servers_start_one_job(stack, person):
    start(person, "to have a session")
    answers = await post_many(stack, dict(person.client.cookies), "h24")
    assert {answer.status_code for answer in answers} == {302}
    (place,) = {answer.headers["Location"] for answer in answers}
    job_id = place.split("/")[2]
    with stack.broker_client() as broker, stack.store_client() as store:
        assert broker.llen("h24") == 1
        assert [key for key in store.keys("jobs:unique:*") if store.get(key).decode() == job_id]
        assert len(store.keys("jobs:{*")) == 2  # and the one before
    listed = person.client.get("/jobs/", headers={"Accept": "application/json"}).json()["jobs"]
    assert [job["id"] for job in listed].count(job_id) == 1 and len(listed) == 2
    with stack.extra_worker("h24"):
        stack.await_run(job_id)
        (stack.folder / f"gate.{job_id}").touch()
        await asyncio.to_thread(person.await_state, job_id, "complete")
    assert start(person, "h24") != job_id


def test_h24_killed_between_record_and_message_it_holds_the_key_until_start_timeout(stack, person):
    start(person, "to have a session")
    with stack.store_client() as store:
        owner = json.loads(store.hget(f"jobs:{{{start(person, 'to know the owner')}}}", "owner"))
    script = DIE_BEFORE_SENDING.format(owner=owner, job_id="h24-unsent", key="h24-unsent")
    web = Child("web", [sys.executable, "-c", script], stack.env)
    assert web.await_exit(20)
    assert start(person, "h24-unsent", "hurry") == "h24-unsent"
    person.await_state("h24-unsent", "expired", 3)
    assert start(person, "h24-unsent", "hurry") != "h24-unsent"


def test_h24_killed_worker_holds_the_key_until_its_job_is_lost(stack, person):
    with stack.extra_worker("h24-dead") as worker:
        job_id = start(person, "h24-dead", queue="h24-dead")
        stack.await_run(job_id)
        worker.stop(grace=0)
        assert start(person, "h24-dead") == job_id
        until(lambda: start(person, "h24-dead") != job_id, LOST_AFTER + 2)
    assert person.look(job_id)["state"] == "lost"


def test_h24_after_flushall_the_worker_takes_the_key_back(stack, person):
    with stack.extra_worker("h24-flush"):
        job_id = start(person, "h24-flush", queue="h24-flush")
        stack.await_run(job_id)
        with stack.store_client() as store:
            until(lambda: store.hget(f"jobs:{{{job_id}}}", "state") == b'"running"')
            until(lambda: beaten(store, job_id))
            store.flushall()
            until(lambda: store.keys("jobs:unique:*"))
        assert start(person, "h24-flush") == job_id
        (stack.folder / f"gate.{job_id}").touch()
        person.await_state(job_id, "complete")
    assert start(person, "h24-flush") != job_id


def beaten(store, job_id):
    """Say whether the worker's parent has seen the job: it puts the deadline off."""
    first = store.hget(f"jobs:{{{job_id}}}", "deadline")
    return until(lambda: store.hget(f"jobs:{{{job_id}}}", "deadline") != first, 5)
