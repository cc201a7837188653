"""What could not be written is tried again until the store takes it."""

import logging
import threading

import pytest
from django.db import connections

from jobs.exceptions import JobEnded, StoreUnavailable
from jobs.models import JobRecord
from jobs.runtime import backlog as backlog_module
from jobs.runtime.backlog import Backlog, backlog
from tests.factories import eventually
from tests.surroundings import database_file  # noqa: F401 - a fixture


@pytest.fixture(autouse=True)
def short_pause(monkeypatch):
    """Try again at once."""
    monkeypatch.setattr(backlog_module, "RETRY_PAUSE", 0.01)


def failing(times, done, name="done", error=StoreUnavailable):
    """Return an action that raises so many times before it is done."""
    left = [error("no")] * times

    def action():
        if left:
            raise left.pop()
        done.append((name, threading.current_thread().name))

    return action


def test_an_action_is_run_from_another_thread():
    done = []
    Backlog().add(failing(0, done))
    eventually(lambda: done == [("done", "jobs-backlog")])


def test_an_action_is_tried_until_the_store_takes_it():
    done = []
    Backlog().add(failing(5, done))
    eventually(lambda: len(done) == 1)


def test_what_waits_is_done_in_order():
    done, backlog = [], Backlog()
    for n in range(10):
        backlog.add(failing(3 if n == 0 else 0, done, n))
    eventually(lambda: len(done) == 10)
    assert [name for name, _thread in done] == list(range(10))


def test_what_is_more_than_the_limit_is_left_undone():
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
def test_an_action_that_can_never_be_done_is_logged_and_makes_room_for_the_next(
    caplog, error, level
):
    done, backlog = [], Backlog()
    backlog.add(failing(1, done, "hopeless", error))
    backlog.add(failing(0, done, "next"))
    eventually(lambda: done)
    assert [name for name, _thread in done] == ["next"]
    assert [record.levelno for record in caplog.records] == [level]


def test_the_thread_ends_with_the_last_action_and_comes_back_with_the_next():
    done, backlog = [], Backlog()
    for n in range(3):
        backlog.add(failing(0, done, n))
        eventually(lambda: not backlog._is_running)
    assert len(done) == 3


@pytest.mark.usefixtures("database_file")
def test_a_thread_that_has_used_the_database_leaves_no_connection_open():
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


def test_what_need_not_be_in_order_is_done_while_the_first_cannot_be():
    done, backlog = [], Backlog(is_ordered=False)
    for n in range(4):
        backlog.add(failing(5 if n == 0 else 0, done, n))
    eventually(lambda: len(done) == 4)
    assert [name for name, _thread in done] == [1, 2, 3, 0]
