"""What growth costs: latency with few and many sockets, and with few and many jobs in Redis."""

from collections import defaultdict
from contextlib import ExitStack

from .setup import Setup
from .subjects import CORE, LIMIT, OURS, POLLING, PUBSUB, UVICORN, Subject
from .turn import WARM, Plan, Turn, quantile, walk_in_slices

WALKED = 60  # jobs that end at each size
MOST_POLLING = 300  # pages; with more the server is so far behind that they do not even open
PAGES = 300  # open while the number of stored jobs matters

Curve = dict[
    int, list[float]
]  # of each number of sockets, or of stored jobs, the milliseconds at the median, a round


def by_sockets(setup: Setup, plan: Plan) -> tuple[dict[Subject, Curve], int]:
    """Return each subject's latency with growing numbers of open pages, and how much we lost."""
    curves: dict[Subject, Curve] = defaultdict(lambda: defaultdict(list))
    lost = 0.0
    for number in range(plan.rounds):
        for subject in (OURS, UVICORN, LIMIT, PUBSUB, CORE, POLLING):
            if subject is OURS or number < plan.peers_rounds:
                missed = _grow(Turn(setup, subject), _sizes(plan, subject), curves[subject])
                lost += missed if subject in (OURS, UVICORN) else 0
    return curves, int(lost)


def by_stored(plan: Plan) -> Curve:
    """Return our latency beside few and many stored jobs, in slices; each has its own Redis."""
    curve: Curve = defaultdict(list)
    with ExitStack() as stack:
        setups = {count: stack.enter_context(Setup((OURS,))) for count in plan.stored}
        for count, setup in setups.items():
            setup.worker.call("store_jobs", count)
        for _round in range(plan.rounds):
            turns = {count: Turn(setup, OURS) for count, setup in setups.items()}
            for turn in turns.values():
                turn.prepare(PAGES)
                turn.walk_on(WARM)
            walk_in_slices(list(turns.values()), PAGES - WARM)
            for count, turn in turns.items():
                curve[count].append(quantile(turn.latencies[WARM:], 0.5))
                turn.close()
    return curve


def _sizes(plan: Plan, subject: Subject) -> list[int]:
    return [size for size in plan.growth if not subject.polls or size <= MOST_POLLING]


def _grow(turn: Turn, sizes: list[int], curve: Curve) -> float:
    """Open more and more pages, and end some new jobs each time; returns how many were lost."""
    jobs = turn.start(sizes[-1])
    turn.open(jobs[:WARM])
    turn.walk(jobs[:WARM])
    opened = WARM
    for size in sizes:
        turn.open(jobs[opened:size])
        curve[size].append(quantile(turn.walk(jobs[opened : min(opened + WALKED, size)]), 0.5))
        opened = size
    turn.close()
    return turn.figures["lost"]
