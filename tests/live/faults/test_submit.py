"""F16: a broker or a store that is down or hangs when a job is started."""

import os
import signal
import time
from contextlib import contextmanager

import pytest

from .stack import FaultStack

STORE_GIVEN_UP = 5  # seconds; two tries of 2 s
BROKER_GIVEN_UP = 10  # seconds; three tries of 3 s: write, connect, connect again


@pytest.fixture(scope="module")
def stack(prepared_database):
    """Return processes of our own: a broker that hangs would disturb the other tests' worker for a while."""
    with FaultStack(prepared_database) as stack:
        yield stack


@contextmanager
def down(server):
    """Stop a Redis, and start it again, empty."""
    server.stop()
    try:
        yield
    finally:
        server.start()


@contextmanager
def hanging(server):
    """Let a Redis take connections and answer nothing."""
    os.kill(server.child.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.child.pid, signal.SIGCONT)


@pytest.mark.parametrize("trouble", [down, hanging])
def test_f16_broker_in_trouble_gives_a_failed_job_and_its_page_and_nothing_runs_later(stack, person, trouble):
    started = time.monotonic()
    with trouble(stack.broker):
        job_id = person.start("keep", {"queue": "f16"}, word="ghost")
        job = person.look(job_id)
        assert time.monotonic() - started < BROKER_GIVEN_UP
        assert "The work could not be started" in person.client.get(f"/jobs/{job_id}/").text
    assert (job["state"], job["error"]) == ("failed", "The work could not be started. Please try again later.")
    after = person.start("keep", {"queue": "f16"}, word="afterwards")
    with stack.extra_worker("f16", "-c1"):
        assert person.await_state(after, "complete")
    assert "copy of word" not in person.look(job_id)["data"]
    assert person.look(job_id)["state"] == "failed"


@pytest.mark.parametrize("trouble", [down, hanging])
def test_f16_store_in_trouble_gives_a_plain_503_page_and_no_message(stack, person, trouble):
    started = time.monotonic()
    with trouble(stack.redis):
        answer = person.try_to_start("keep", {"queue": "f16.store"}, word="ghost")
        assert time.monotonic() - started < STORE_GIVEN_UP
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "StoreUnavailable" not in answer.text and "Traceback" not in answer.text
    with stack.broker_client() as broker:
        assert not broker.exists("f16.store")


@pytest.mark.parametrize("trouble", [down, hanging])
def test_f16_view_may_catch_store_unavailable(stack, person, trouble):
    with trouble(stack.redis):
        answer = person.client.post("/faults/keep/caught/", json={"kwargs": {"word": "x"}, "options": {}})
    assert (answer.status_code, answer.text) == (200, "Please come back later.")
