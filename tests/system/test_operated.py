"""What a monitor hears of real processes: the server's health, the figures of both kinds."""

import json
import re
import subprocess
import sys
from contextlib import asynccontextmanager

import httpx
import pytest
import redis

from project.demo.check import Check
from tests.factories import eventually
from tests.system.harness.stack import LiveStack, paused

HANDLER = "project.classrooms.handlers.TransferHandler"
FIGURE = re.compile(r"^([a-z_]+)(\{.*\})? ([0-9.e+-]+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def watched(prepared_database, tmp_path_factory):
    """Return a stack with metrics and a health check."""
    stack = LiveStack(prepared_database)
    stack.extra_env |= {
        "DJANGO_SETTINGS_MODULE": "tests.system.projects.watched.settings",
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path_factory.mktemp("metrics")),
    }
    with stack:
        yield stack


def figures(stack):
    """Return what a scrape tells: figures by name and labels."""
    text = httpx.get(f"{stack.base_url}/metrics", trust_env=False).text
    return {name + labels: float(value) for name, labels, value in FIGURE.findall(text)}


def health(stack):
    answer = httpx.get(f"{stack.base_url}/health/", trust_env=False, timeout=20)
    return answer.status_code, answer.json()


@asynccontextmanager
async def listening(stack, client):
    """Open a socket that hears of all of one's jobs."""
    async with stack.socket(client, "/ws/jobs/") as page:
        await page.send(json.dumps({"action": "subscribe", "mine": True}))
        assert json.loads(await page.recv())["event"] == "subscribed"
        yield page


async def test_the_life_of_a_job_is_counted_in_all_its_processes(watched):
    check = Check(watched.base_url, say=print)
    check.log_in()
    check.open_classroom()
    async with listening(watched, check.visitor.client) as page:
        check.post_transfer()
        while json.loads(await page.recv())["event"] != "ready":
            pass
    complete = f'{{handler="{HANDLER}",state="complete"}}'
    eventually(lambda: figures(watched).get(f"jobs_ended_total{complete}"))
    told = figures(watched)
    assert told[f'jobs_created_total{{handler="{HANDLER}"}}'] == 1
    assert told[f'jobs_waiting_seconds_count{{handler="{HANDLER}"}}'] == 1
    assert told[f"jobs_running_seconds_count{complete}"] == 1
    assert told["jobs_delivery_seconds_count"] >= 1 and told["jobs_delivery_seconds_sum"] < 5
    assert told['jobs_alive{state="running"}'] == 0 and told["jobs_store_up"] == 1
    check.close()


async def test_an_open_page_is_counted_and_keeps_the_hub_listening(watched):
    assert health(watched) == (
        200,
        {"status": "ok", "store": "ok", "archive": "ok", "hub": "idle"},
    )
    async with listening(watched, watched.logged_in_client()):
        assert figures(watched)["jobs_open_sockets"] == 1
        assert health(watched)[1]["hub"] == "ok"
    eventually(lambda: figures(watched)["jobs_open_sockets"] == 0)


TRACED = """
import django
django.setup()
from django.db import transaction
from opentelemetry import trace
from tests.system.projects.watched.tasks import instrument, tell_trace
instrument()
tracer = trace.get_tracer("a request")
with tracer.start_as_current_span("a request") as span, transaction.atomic():
    job = tell_trace.start_job(None)  # sent with the commit, while the request is still traced
print(job.id, f"{span.get_span_context().trace_id:032x}")
"""


def test_the_trace_of_a_request_goes_on_in_its_task(watched):
    command = [sys.executable, "-c", TRACED]
    done = subprocess.run(command, env=watched.env, capture_output=True, text=True, check=True)
    job_id, trace = done.stdout.split()
    client = redis.Redis.from_url(watched.redis_url, decode_responses=True)
    with client:
        stored = eventually(lambda: client.hget(f"jobs:{{{job_id}}}", "data.trace"), seconds=20)
    assert stored == f'"{trace}"'


def test_a_store_that_hangs_is_told_within_seconds(watched):
    with paused(watched.redis.child):
        status, told = health(watched)
        assert (status, told["status"], told["store"], told["archive"]) == (
            503,
            "down",
            "down",
            "ok",
        )
    eventually(lambda: health(watched)[0] == 200)
