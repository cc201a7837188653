"""F33 and F22: a worker that is told to end, in every phase: its processes end, nothing is orphaned, no job is forgotten."""

import os
import signal
import subprocess
import time
from contextlib import contextmanager

import pytest

from tests.processes import await_end, session

from .waiting import until

AT_ONCE = 5  # seconds for a worker with nothing to wait for


@contextmanager
def bare_worker(stack, tmp_path, *options):
    """Start a worker without the leash that ends what it leaves behind; its session is looked at instead."""
    log = tmp_path / "worker.log"
    with log.open("w") as output:
        worker = subprocess.Popen(
            stack.worker_command("f33", *options), env=stack.env, stdout=output, stderr=output, start_new_session=True
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


def end(worker, *signals, seconds=AT_ONCE):
    """Send the signals one after the other, and wait until the worker and all its children have ended."""
    for number in signals:
        before = len(worker.printed())
        worker.send_signal(number)
        until(lambda before=before: len(worker.printed()) > before or worker.poll() is not None, 5)
    worker.wait(seconds)
    await_end(worker.pid, 2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
@pytest.mark.parametrize("moment", [0.0, 0.3, 0.6, 0.9, 1.2])
def test_f33_exp_start(stack, tmp_path, number, moment):
    with bare_worker(stack, tmp_path) as worker:
        time.sleep(moment)
        t = time.monotonic()
        worker.send_signal(number)
        worker.wait(10)
        print("MOMENT", moment, number, time.monotonic() - t, worker.returncode)
        await_end(worker.pid, 2)


@pytest.mark.parametrize("numbers", [[signal.SIGTERM], [signal.SIGINT], [signal.SIGQUIT]])
@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_f33_idle(stack, tmp_path, numbers, pool):
    with ready_worker(stack, tmp_path, "--pool", pool) as worker:
        t = time.monotonic()
        end(worker, *numbers)
        print("IDLE", pool, numbers, time.monotonic() - t)


@pytest.mark.parametrize("task", ["wait", "wait_acks_late"])
@pytest.mark.parametrize("numbers", [[signal.SIGQUIT], [signal.SIGINT, signal.SIGINT]])
@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_f33_cold(stack, person, tmp_path, numbers, pool, task):
    with ready_worker(stack, tmp_path, "--pool", pool) as worker:
        job_id = person.start(task, {"queue": "f33"})
        stack.await_run(job_id)
        t = time.monotonic()
        try:
            end(worker, *numbers, seconds=10)
        except Exception as e:
            print(repr(e))
        print("COLD", pool, task, numbers, time.monotonic() - t, person.look(job_id)["state"], person.look(job_id)["error"])
        time.sleep(1)
        print("COLD", pool, task, numbers, time.monotonic() - t, person.look(job_id)["state"], person.look(job_id)["error"])
        print(worker.printed()[-1500:])
    with stack.broker_client() as broker: print(broker.llen("f33")); broker.delete("f33")
