"""From the figures of the rounds to ratios: taken within each round, then their median and range."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

from .subjects import LIMIT, NAIVE, OURS, PUBSUB, TICKET, Subject
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


def _ratio(figure: str, ours: Subject, other: Subject, inverse: bool = False) -> Callable[[Rounds], list[float]]:
    over, under = (other, ours) if inverse else (ours, other)
    return lambda rounds: [a[figure] / b[figure] for a, b in zip(rounds[over], rounds[under], strict=True)]


RATIOS: dict[str, Callable[[Rounds], list[float]]] = {
    "p50_vs_limit": _ratio("p50_ms", OURS, LIMIT),
    "p50_vs_tutorial": _ratio("p50_ms", OURS, PUBSUB),
    "p95_vs_limit": _ratio("p95_ms", OURS, LIMIT),
    "push_vs_tutorial": _ratio("push_us", OURS, PUBSUB),
    "deliveries_vs_limit": _ratio("delivery_us", OURS, LIMIT, inverse=True),
    "deliveries_vs_tutorial": _ratio("delivery_us", OURS, PUBSUB, inverse=True),
    "fanout_vs_tutorial": _ratio("fanout_ms", OURS, PUBSUB),
    "handshake_vs_naive": _ratio("handshake_us", OURS, NAIVE),
    "handshake_ticket_vs_naive": _ratio("handshake_us", TICKET, NAIVE),
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
    "handshake_ticket_vs_naive": 0.35,
    "complete_vs_publish": 4,
    "progress_sent_vs_publish": 4,
    "progress_throttled_us": 5,
    "round_trips_per_complete": 1,
    "connections_per_complete": 0,
    "round_trips_per_life": 6,
    "lost": 0,
}
AT_LEAST = {"deliveries_vs_limit": 0.4, "deliveries_vs_tutorial": 4}


def results(rounds: Rounds, calls: Mapping[str, list[float]], trips: Mapping[str, float]) -> dict[str, Spread]:
    """Return every figure that has a goal or is a ratio, under its name.

    Deliveries are those of the one job that all pages watch; a push is one job with one page. `complete_vs_publish`
    leaves the archive's database out, `complete_archived_vs_publish` does not. Memory is that of the first round.
    """
    found = {name: Spread.of(ratios(rounds)) for name, ratios in RATIOS.items()}
    found["kb_per_socket"] = Spread.of([rounds[OURS][0]["kb_per_socket"]])
    for name, kind in CALL_RATIOS.items():
        found[name] = Spread.of([a / b for a, b in zip(calls[kind], calls["publish"], strict=True)])
    found["progress_throttled_us"] = Spread.of(calls["progress_throttled"])
    found |= {name: Spread.of([value]) for name, value in trips.items()}
    found["lost"] = Spread.of([sum(figures["lost"] for figures in rounds[OURS])])
    return found


def verdict(name: str, value: float) -> str:
    """Say what was to be reached, and whether it was."""
    if name in AT_MOST:
        return f"<= {AT_MOST[name]:g} {'yes' if value <= AT_MOST[name] else 'NO'}"
    if name in AT_LEAST:
        return f">= {AT_LEAST[name]:g} {'yes' if value >= AT_LEAST[name] else 'NO'}"
    return ""
