"""All the measuring of one run, in the order in which it is done."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from project.demo.processes import Child

from .growth import Curve, by_sockets, by_stored
from .setup import Setup
from .subjects import GROUPS, LIMIT, OURS, SUBJECTS, Subject
from .turn import Figures, Plan, Turn, rounds

START_TIMEOUT = 60.0  # seconds
STOP_GRACE = 5.0  # seconds
CELERY = (
    "-m celery -A project worker --concurrency 1 --without-gossip --without-mingle --loglevel INFO"
)


@dataclass(frozen=True)
class Taken:
    """What was measured, before anything is made of it."""

    loop: str  # of the limit
    rounds: Mapping[Subject, list[Figures]]
    calls: Mapping[str, list[float]]
    trips: Mapping[str, float]
    lives: Mapping[str, Any]
    by_sockets: Mapping[Subject, Curve]
    by_stored: Curve
    lost_growing: int


def measure(plan: Plan) -> Taken:
    """Measure everything; raises `ProcessError` when something cannot be."""
    with Setup(SUBJECTS) as setup:
        loop = setup.servers[LIMIT].child.await_line("loop: (.+)", START_TIMEOUT)[1]
        calls = setup.worker.call("measure_calls", plan.rounds, plan.calls)
        trips = setup.worker.call("count_trips", plan.calls)
        taken = rounds(setup, plan, GROUPS)
        curves, lost = by_sockets(setup, plan)
    with Setup((OURS,)) as setup:
        lives = _lead_lives(setup, plan)
    return Taken(loop, taken, calls, trips, lives, curves, by_stored(plan), lost)


def _lead_lives(setup: Setup, plan: Plan) -> Mapping[str, Any]:
    """Run jobs by a real worker beside an open page: without one the hub closes each time."""
    worker = Child("celery", [sys.executable, *CELERY.split()], setup.env)
    try:
        worker.await_line(" ready", START_TIMEOUT)
        turn = Turn(setup, OURS)
        turn.open(turn.start(1))
        return setup.worker.call("lead_lives", turn.server.port, plan.lives)
    finally:
        worker.stop(STOP_GRACE)
