"""A write that failed is retried until it succeeds."""

import logging
import threading

import pytest
from django.db import connections

from jobs.exceptions import JobEnded, StoreUnavailable
from jobs.models import JobRecord
from jobs.runtime import backlog as backlog_module
from jobs.runtime.backlog import Backlog, backlog
from tests.factories import eventually


@pytest.fixture(autouse=True)
def short_pause(monkeypatch):
    """Retry almost at once."""
    monkeypatch.setattr(backlog_module, "RETRY_PAUSE", 0.01)


def failing(times, done, name="done", error=StoreUnavailable):
    """Return an action that raises `times` times and then succeeds."""
    left = [error("no")] * times

    def action():
        if left:
            raise left.pop()
        done.append((name, threading.current_thread().name))

    return action


def test_an_action_runs_in_another_thread():
    done = []
    Backlog().add(failing(0, done))
    eventually(lambda: done == [("done", "jobs-backlog")])


def test_an_action_is_retried_until_it_succeeds():
    done = []
    Backlog().add(failing(5, done))
    eventually(lambda: len(done) == 1)


def test_actions_run_in_order():
    done, backlog = [], Backlog()
    for n in range(10):
        backlog.add(failing(3 if n == 0 else 0, done, n))
    eventually(lambda: len(done) == 10)
    assert [name for name, _thread in done] == list(range(10))


def test_actions_above_the_limit_are_dropped():
    done, backlog = [], Backlog(limit=2)
    for n in range(4):
        backlog.add(failing(10 if n == 0 else 0, done, n))
    eventually(lambda: len(done) == 2)
    backlog.add(failing(0, done, "later"))
    eventually(lambda: len(done) == 3)
    assert [name for name, _thread in done] == [0, 1, "later"]


@pytest.mark.parametrize(
    ("error", "level"), [(JobEnded, logging.WARNING), (RuntimeError, logging.ERROR)]
)
def test_an_action_that_cannot_succeed_is_logged_and_dropped(caplog, error, level):
    done, backlog = [], Backlog()
    backlog.add(failing(1, done, "hopeless", error))
    backlog.add(failing(0, done, "next"))
    eventually(lambda: done)
    assert [name for name, _thread in done] == ["next"]
    assert [record.levelno for record in caplog.records] == [level]


def test_a_new_action_starts_the_thread_again():
    done, backlog = [], Backlog()
    for n in range(3):
        backlog.add(failing(0, done, n))
        eventually(lambda: not backlog._is_running)
    assert len(done) == 3


@pytest.mark.usefixtures("database_file")
def test_the_thread_closes_its_database_connections():
    used = []

    def action():
        assert not JobRecord.objects.exists()
        used.append(connections["default"])

    Backlog().add(action)
    eventually(lambda: used)
    try:
        eventually(lambda: used[0].connection is None, seconds=0.5)
    finally:
        used[0].connection and used[0].connection.close()


def test_a_process_has_one_backlog():
    assert backlog() is backlog()


def test_an_unordered_backlog_goes_on_while_one_action_waits():
    done, backlog = [], Backlog(is_ordered=False)
    for n in range(4):
        backlog.add(failing(5 if n == 0 else 0, done, n))
    eventually(lambda: len(done) == 4)
    assert [name for name, _thread in done] == [1, 2, 3, 0]
