"""F33, F22: a worker is stopped in any phase, and leaves no orphan and no forgotten job."""

import os
import signal
import subprocess
from contextlib import contextmanager

import pytest

from tests.processes import await_end, session
from tests.system.harness.fault_stack import LOST_AFTER, hanging
from tests.system.harness.waiting import until

QUICK_SHUTDOWN = 5  # seconds for a worker with nothing to wait for


@contextmanager
def bare_worker(stack, tmp_path, *options):
    """Start a worker without the leash that ends its children; the test checks its session."""
    log = tmp_path / "worker.log"
    with log.open("w") as output:
        worker = subprocess.Popen(
            stack.worker_command("f33", *options),
            env=stack.env,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    worker.printed = log.read_text
    try:
        yield worker
    finally:
        for process in session(worker.pid):
            os.kill(process.pid, signal.SIGKILL)
        worker.wait()


@contextmanager
def ready_worker(stack, tmp_path, *options):
    """Start one, and wait until it is ready."""
    with bare_worker(stack, tmp_path, *options) as worker:
        until(lambda: " ready." in worker.printed(), 20)
        yield worker


def end(worker, *signals, seconds=QUICK_SHUTDOWN):
    """Send the signals in turn, and wait until the worker and all its children have ended."""
    for number in signals:
        before = len(worker.printed())
        worker.send_signal(number)
        until(lambda before=before: len(worker.printed()) > before or worker.poll() is not None, 5)
    worker.wait(seconds)
    await_end(worker.pid, 2)


@pytest.mark.parametrize("has_begun", [lambda worker: True, lambda worker: worker.printed()])
def test_f33_worker_that_is_ended_while_it_starts_leaves_nothing_behind(
    stack, tmp_path, has_begun
):
    with bare_worker(stack, tmp_path) as worker:
        until(lambda: has_begun(worker))
        end(worker, signal.SIGTERM)


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_f33_warm_shutdown_lets_the_job_end_and_leaves_nothing_behind(
    stack, person, tmp_path, pool
):
    with ready_worker(stack, tmp_path, "--pool", pool) as worker:
        job_id = person.start("wait", {"queue": "f33"})
        stack.await_run(job_id)
        worker.send_signal(signal.SIGTERM)
        until(lambda: "Warm shutdown" in worker.printed())
        assert person.look(job_id)["state"] == "running"
        stack.open_gate(job_id)
        worker.wait(QUICK_SHUTDOWN)
        await_end(worker.pid, 2)
        assert person.look(job_id)["state"] == "complete"


def test_f22_cold_shutdown_fails_the_job_that_it_kills_at_once(stack, person, tmp_path):
    with ready_worker(stack, tmp_path) as worker:
        job_id = person.start("wait", {"queue": "f33"})
        stack.await_run(job_id)
        end(worker, signal.SIGQUIT)
        assert person.look(job_id)["error"] == "The work was interrupted before it was done."


def test_f22_late_acknowledged_job_goes_on_elsewhere_after_ctrl_c_was_pressed_twice(
    stack, person, tmp_path
):
    with ready_worker(stack, tmp_path) as worker:
        job_id = person.start("wait_acks_late", {"queue": "f33"})
        stack.await_run(job_id)
        end(worker, signal.SIGINT, signal.SIGINT)
    assert person.look(job_id)["state"] in ("running", "lost")
    stack.open_gate(job_id)
    with stack.extra_worker("f33"):
        until(lambda: person.look(job_id)["state"] == "complete")


def test_f33_a_worker_can_be_stopped_although_the_store_hangs(stack, person, tmp_path):
    with ready_worker(stack, tmp_path) as worker:
        job_id = person.start("wait", {"queue": "f33"})
        stack.await_run(job_id)
        with hanging(stack.redis):
            stack.open_gate(job_id)
            until(lambda: "kept for later" in worker.printed())
            end(worker, signal.SIGTERM, seconds=10)
    assert person.await_state(job_id, "complete", LOST_AFTER + 1)
