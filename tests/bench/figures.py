"""Turn the figures of the rounds into ratios: each within its round, then median and range."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

from .growth import Curve
from .measure import Taken
from .subjects import LIMIT, NAIVE, OURS, POLLING, PUBSUB, SESSION, UVICORN, Subject
from .turn import Figures

Rounds = Mapping[Subject, list[Figures]]


@dataclass(frozen=True)
class Spread:
    """A median, and the least and the greatest of what it is the median of."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
        return cls(median(values), min(values), max(values))


def _ratio(
    figure: str, ours: Subject, other: Subject, inverse: bool = False
) -> Callable[[Rounds], list[float]]:
    over, under = (other, ours) if inverse else (ours, other)
    return lambda rounds: [
        a[figure] / b[figure] for a, b in zip(rounds[over], rounds[under], strict=True)
    ]


def ratios_of(ours: Subject) -> dict[str, Callable[[Rounds], list[float]]]:
    """Return how each ratio is made: ours over theirs, except for rates, where more is better."""
    return {
        "p50_vs_limit": _ratio("p50_ms", ours, LIMIT),
        "p50_vs_tutorial": _ratio("p50_ms", ours, PUBSUB),
        "p50_vs_polling": _ratio("p50_ms", ours, POLLING, inverse=True),
        "p95_vs_limit": _ratio("p95_ms", ours, LIMIT),
        "deliveries_vs_limit": _ratio("delivery_us", ours, LIMIT, inverse=True),
        "deliveries_vs_tutorial": _ratio("delivery_us", ours, PUBSUB, inverse=True),
        "fanout_vs_tutorial": _ratio("fanout_ms", ours, PUBSUB),
        "handshake_vs_naive": _ratio("handshake_us", ours, NAIVE),
    }


CALL_RATIOS = {
    "complete_vs_publish": "complete",
    "complete_archived_vs_publish": "complete_archived",
    "progress_sent_vs_publish": "progress_sent",
}

AT_MOST = {
    "p50_vs_limit": 1.4,
    "p50_vs_tutorial": 0.3,
    "p95_vs_limit": 2,
    "fanout_vs_tutorial": 0.25,
    "kb_per_socket": 26,
    "handshake_vs_naive": 0.35,
    "complete_vs_publish": 4,
    "progress_sent_vs_publish": 4,
    "progress_throttled_us": 5,
    "round_trips_per_complete": 1,
    "connections_per_complete": 0,
    "round_trips_per_life": 6,
    "growth_sockets": 1.15,
    "growth_stored": 1.2,
    "lost": 0,
}
AT_LEAST = {"p50_vs_polling": 150, "deliveries_vs_limit": 0.4, "deliveries_vs_tutorial": 4}


def results(taken: Taken) -> dict[str, Spread]:
    """Return every figure that has a goal or is a ratio, under its name.

    Ours is what is shipped: on daphne, opened with the waiting page's ticket.
    `complete_vs_publish` leaves the archive's database out, `complete_archived_vs_publish` does
    not. Memory is from the first round.
    """
    rounds, calls = taken.rounds, taken.calls
    found = {name: Spread.of(ratios(rounds)) for name, ratios in ratios_of(OURS).items()}
    found["kb_per_socket"] = Spread.of([rounds[OURS][0]["kb_per_socket"]])
    for name, kind in CALL_RATIOS.items():
        found[name] = Spread.of(
            [a / b for a, b in zip(calls[kind], calls["publish"], strict=True)]
        )
    found["progress_throttled_us"] = Spread.of(calls["progress_throttled"])
    found |= {name: Spread.of([value]) for name, value in taken.trips.items()}
    found["growth_sockets"] = Spread.of(growth(taken.by_sockets[OURS]))
    found["growth_stored"] = Spread.of(growth(taken.by_stored))
    found["lost"] = Spread.of([lost(taken)])
    return found | others(taken)


def others(taken: Taken) -> dict[str, Spread]:
    """Return the ratios without a goal: other ways to open, whole lives, pushes to one page."""
    rounds = taken.rounds
    return {
        "handshake_session_vs_naive": Spread.of(_ratio("handshake_us", SESSION, NAIVE)(rounds)),
        "complete_vs_group_send": Spread.of(
            [
                a / b
                for a, b in zip(taken.calls["complete"], taken.calls["group_send"], strict=True)
            ]
        ),
        "push_vs_tutorial": Spread.of(_ratio("push_us", OURS, PUBSUB)(rounds)),
        "life_vs_task": Spread.of(
            [life / median(taken.lives["task_ms"]) for life in taken.lives["life_ms"]]
        ),
        "round_trips_per_life_live": Spread.of([taken.lives["round_trips"]]),
    }


def on_uvicorn(taken: Taken) -> dict[str, Spread]:
    """Return the ratios of ours on another server; the peers stay on theirs."""
    found = {name: Spread.of(ratios(taken.rounds)) for name, ratios in ratios_of(UVICORN).items()}
    return found | {"kb_per_socket": Spread.of([taken.rounds[UVICORN][0]["kb_per_socket"]])}


def growth(curve: Curve) -> list[float]:
    """Return how much longer the most takes than the least, of each round."""
    return [most / least for least, most in zip(curve[min(curve)], curve[max(curve)], strict=True)]


def lost(taken: Taken) -> float:
    """Return how many frames of ours, on either server, did not come."""
    return taken.lost_growing + sum(
        turn["lost"] for ours in (OURS, UVICORN) for turn in taken.rounds[ours]
    )


def verdict(name: str, value: float) -> str:
    """Say what was to be reached, and whether it was."""
    if name in AT_MOST:
        return f"<= {AT_MOST[name]:g} {'yes' if value <= AT_MOST[name] else 'NO'}"
    if name in AT_LEAST:
        return f">= {AT_LEAST[name]:g} {'yes' if value >= AT_LEAST[name] else 'NO'}"
    return ""
