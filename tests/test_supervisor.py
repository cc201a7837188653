"""What the demo does when one of its processes ends."""

import queue
from types import SimpleNamespace

import pytest

from project.demo.processes import ProcessError
from project.demo.supervisor import MOST_RESTARTS, Supervisor


@pytest.fixture
def stack():
    """Return a stand-in for the stack. Its children have only obituaries."""
    worker, server = (SimpleNamespace(obituary=f"{name} died") for name in ("worker", "server"))
    started = []
    return SimpleNamespace(
        worker=worker,
        children=[server, worker],
        exits=queue.SimpleQueue(),
        started=started,
        start_worker=lambda: started.append("worker"),
    )


@pytest.fixture
def supervisor(stack):
    return Supervisor(stack, say=lambda text: None)


def test_a_worker_that_keeps_dying_waits_longer_and_is_given_up(supervisor, stack):
    delays = []
    for _death in range(MOST_RESTARTS):
        supervisor.attend_to(stack.worker)
        delays.append(supervisor.delay)
        supervisor.replace_worker()
    assert delays == [0.5, 1, 2, 4, 8, 16, 16, 16]
    assert len(stack.started) == MOST_RESTARTS
    with pytest.raises(ProcessError, match="worker died .for the 9th time in a row."):
        supervisor.attend_to(stack.worker)


def test_a_worker_that_ran_for_long_may_die_again(supervisor, stack, monkeypatch):
    monkeypatch.setattr("project.demo.supervisor.HEALTHY_AFTER", 0)
    for _death in range(MOST_RESTARTS + 1):
        supervisor.attend_to(stack.worker)
    assert supervisor.delay == 0.5


def test_the_end_of_a_replaced_child_is_ignored(supervisor, stack):
    supervisor.attend_to(SimpleNamespace(obituary="an earlier worker died"))
    assert supervisor.delay is None


def test_the_end_of_another_part_ends_everything(supervisor, stack):
    stack.exits.put(stack.children[0])
    with pytest.raises(ProcessError, match="server died"):
        supervisor.watch()
