"""Synchronous code is called from an event loop."""

import threading

import pytest

from jobs.runtime import threads
from jobs.runtime.threads import in_thread


@pytest.fixture
def closings(monkeypatch):
    """Return a list of the threads in which old connections are closed."""
    closed = []
    monkeypatch.setattr(
        threads, "close_old_connections", lambda: closed.append(threading.current_thread().name)
    )
    return closed


async def test_old_connections_are_closed_in_the_thread_of_the_action(closings):
    def action(first, second):
        return first + second, threading.current_thread().name, list(closings)

    total, thread, closed = await in_thread(action, 1, second=2)
    assert total == 3
    assert closed == [thread] != [threading.current_thread().name]


async def test_an_error_of_the_action_is_raised():
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 / 0)
