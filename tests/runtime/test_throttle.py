"""A throttle limits how often an action runs, and never drops the last call."""

import threading
from time import monotonic

import pytest

from jobs.runtime.throttle import Throttle
from tests.factories import eventually


@pytest.fixture
def calls():
    """Return a list of the runs: each with its time, and whether the main thread did it."""
    return []


@pytest.fixture
def throttle(calls):
    """Return a throttle that notes its runs, 20 a second."""

    def note():
        calls.append((monotonic(), threading.current_thread() is threading.main_thread()))

    throttle = Throttle(20, note, note)
    yield throttle
    throttle.stop()


def test_the_first_call_runs_at_once_in_its_own_thread(throttle, calls):
    throttle()
    assert [in_main for _time, in_main in calls] == [True]


def test_a_burst_runs_the_first_and_the_last_call(throttle, calls):
    for _ in range(1000):
        throttle()
    burst = len(calls)
    eventually(lambda: len(calls) > burst)
    assert len(calls) == 2
    (first, _), (second, in_main) = calls
    assert second - first + 0.001 >= 0.05 and not in_main


def test_calls_that_are_slow_enough_all_run_at_once(throttle, calls):
    for _ in range(3):
        throttle()
        eventually(lambda: monotonic() - calls[-1][0] > 0.055)
    assert [in_main for _time, in_main in calls] == [True] * 3


def test_endless_calls_run_at_the_rate(throttle, calls):
    start = monotonic()
    while (took := monotonic() - start) < 0.5:
        throttle()
    assert 4 <= len(calls) <= took * 20 + 1


def test_a_stopped_throttle_drops_the_waiting_call(throttle, calls):
    throttle()
    throttle()
    throttle.stop()
    throttle.stop()
    assert not [
        thread
        for thread in threading.enumerate()
        if isinstance(thread, threading.Timer)
        and thread.is_alive()
        and not thread.finished.is_set()
    ]
    assert len(calls) == 1


def test_a_paused_throttle_runs_the_last_call_after_the_pause(throttle, calls):
    start = monotonic()
    throttle.pause(0.1)
    throttle()
    throttle()
    assert calls == []
    eventually(lambda: calls)
    assert calls[0][0] - start >= 0.099 and len(calls) == 1
