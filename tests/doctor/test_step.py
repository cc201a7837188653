"""A step is bounded in time."""

import threading

import pytest

from jobs.doctor import step
from jobs.doctor.step import bounded


def test_a_bounded_action_returns_or_raises():
    assert bounded(lambda: 7) == 7
    with pytest.raises(KeyError):
        bounded({}.popitem)


def test_an_action_that_hangs_is_left_behind(monkeypatch):
    gate = threading.Event()
    monkeypatch.setattr(step, "STEP_TIMEOUT", 0.05)
    with pytest.raises(TimeoutError):
        bounded(gate.wait)
    gate.set()
