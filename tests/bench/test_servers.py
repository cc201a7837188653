"""What holds on any machine, measured on real servers: losses, memory, and two coarse ratios."""

from dataclasses import replace

import pytest

from .__main__ import QUICK
from .setup import Setup
from .subjects import OURS, PUBSUB
from .turn import together
from .usage import allow_many_files

PLAN = replace(QUICK, sockets=400, jobs=60, calls=50)
# of a socket that a ticket has opened; recorded on Linux x86-64 with Python 3.11 and 3.13
KB_PER_SOCKET = 25.6
TOLERANCE = 1.1


@pytest.fixture(scope="module")
def setup():
    """Start a Redis, a worker, the pages, and two servers: ours and the tutorial's."""
    allow_many_files()
    with Setup((OURS, PUBSUB)) as setup:
        yield setup


@pytest.fixture(scope="module")
def figures(setup):
    """Return what both subjects took, one after the other."""
    return together(setup, PLAN, (OURS,), is_first=True) | together(
        setup, PLAN, (PUBSUB,), is_first=True
    )


def test_nothing_is_lost(figures):
    assert figures[OURS]["lost"] == 0


def test_an_open_socket_takes_no_more_memory_than_was_recorded(figures):
    assert figures[OURS]["kb_per_socket"] <= KB_PER_SOCKET * TOLERANCE


def test_a_page_hears_sooner_than_by_the_tutorials_way(figures):
    assert figures[OURS]["p50_ms"] < figures[PUBSUB]["p50_ms"]


def test_to_complete_costs_the_worker_less_than_a_group_send(setup):
    calls = setup.worker.call("measure_calls", 1, PLAN.calls)
    assert calls["complete"] < calls["group_send"]
