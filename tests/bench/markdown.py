"""Write the last run's figures into documents.

`python -m tests.bench.markdown FILE.json DOCUMENT.md…`.

Puts a table in the place of what stands between `<!-- bench: NAME -->` and `<!-- /bench -->`.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from .figures import AT_LEAST, AT_MOST, verdict
from .plot import last_run

Run = Mapping[str, Any]

PLACE = re.compile(r"(<!-- bench: (\w+) -->\n).*?(<!-- /bench -->)", re.DOTALL)
SUBJECT_ROWS = {
    "p50_ms": "p50, 50 jobs a second, ms",
    "p95_ms": "p95, ms",
    "p50_run_ms": "p50, 250 jobs a second, ms",
    "push_us": "server's CPU for one job with one page, µs",
    "delivery_us": "server's CPU for one page of a job with all pages, µs",
    "fanout_ms": "one job to all pages, the last one, ms",
    "handshake_us": "server's CPU for one handshake, µs",
    "commands_per_socket": "Redis commands for one handshake",
    "kb_per_socket": "memory of an open socket, kB",
    "lost": "lost",
}
CALL_ROWS = {
    "publish": "a raw `PUBLISH`",
    "complete": "`complete()`, store and push",
    "complete_archived": "`complete()`, store, push and archive (SQLite)",
    "progress_sent": "`set_progress()`, sent",
    "progress_throttled": "`set_progress()`, throttled away",
    "group_send": "`async_to_sync(group_send)`",
}
LABELS = {
    "p50_vs_limit": "p50, of the limit's",
    "p50_vs_tutorial": "p50, of the tutorial's",
    "p50_vs_polling": "p50, times quicker than polling",
    "p95_vs_limit": "p95, of the limit's",
    "deliveries_vs_limit": "deliveries per CPU second, of the limit's",
    "deliveries_vs_tutorial": "deliveries per CPU second, of the tutorial's",
    "fanout_vs_tutorial": "one job to all watchers, of the tutorial's time",
    "kb_per_socket": "kB per open, authenticated socket",
    "handshake_vs_naive": "CPU per handshake, of tutorial + session + naive find",
    "complete_vs_publish": "`complete()` in the worker, of a raw `PUBLISH`",
    "progress_sent_vs_publish": "`set_progress()` that is sent, of a raw `PUBLISH`",
    "progress_throttled_us": "`set_progress()` that is throttled away, µs",
    "round_trips_per_complete": "Redis round trips of `complete()`",
    "connections_per_complete": "new connections of `complete()`",
    "round_trips_per_life": "Redis round trips of a whole life",
    "growth_sockets": "growth of p50, {growth[0]:,} → {growth[1]:,} sockets",
    "growth_stored": "growth of p50, {stored[0]:,} → {stored[1]:,} stored jobs",
    "lost": "lost",
}


HEADLINES = (
    "p50_vs_limit",
    "p50_vs_tutorial",
    "p50_vs_polling",
    "deliveries_vs_tutorial",
    "fanout_vs_tutorial",
    "kb_per_socket",
    "round_trips_per_life",
    "lost",
)


def goals(run: Run, names: Iterable[str] = tuple(LABELS)) -> Iterator[str]:
    """Yield the goals, what was measured, and which were missed."""
    yield "| figure | goal | daphne | on uvicorn | |"
    yield "| --- | --- | --- | --- | --- |"
    plan = run["plan"]
    spans = {"growth": (plan["growth"][0], plan["growth"][-1]), "stored": plan["stored"]}
    for name in names:
        goal = f"≤ {AT_MOST[name]:g}" if name in AT_MOST else f"≥ {AT_LEAST[name]:g}"
        other = (
            _spread(run["uvicorn"], run["uvicorn_ranges"], name) if name in run["uvicorn"] else ""
        )
        mine = _spread(run, run["ranges"], name)
        label = LABELS[name].format(**spans)
        yield f"| {label} | {goal} | {mine} | {other} | {_word(run, name)} |"


def summary(run: Run) -> Iterator[str]:
    """Yield the most telling goals, and how many of all were reached."""
    yield from goals(run, HEADLINES)
    missed = sum(not verdict(name, run[name]).endswith("yes") for name in LABELS)
    yield ""
    reached = len(LABELS) - missed
    yield f"Of {len(LABELS)} goals {reached} were reached and {missed} missed on daphne."


def subjects(run: Run) -> Iterator[str]:
    """Yield what each subject took."""
    rounds = run["rounds"]
    yield f"| | {' | '.join(rounds)} |"
    yield f"| --- |{' --- |' * len(rounds)}"
    for figure, label in SUBJECT_ROWS.items():
        cells = [
            _values([turn[figure] for turn in turns if figure in turn])
            for turns in rounds.values()
        ]
        yield f"| {label} | {' | '.join(cells)} |"


def calls(run: Run) -> Iterator[str]:
    """Yield what the calls in the worker took, and whole lives."""
    yield "| in the worker | µs a call |"
    yield "| --- | --- |"
    for kind, label in CALL_ROWS.items():
        yield f"| {label} | {_values(run['calls_us'][kind])} |"
    yield "| **a whole life, through a real worker** | **ms** |"
    yield f"| `start_job` … `on_ready` done | {_values(run['lives']['life_ms'])} |"
    for step, milliseconds in run["lives"]["steps_ms"].items():
        yield f"| of it: {step} | {milliseconds:.1f} |"
    yield f"| a bare task of Celery's, `delay().get()` | {_values(run['lives']['task_ms'])} |"


def machine(run: Run) -> Iterator[str]:
    """Yield what it was measured on."""
    about = run["machine"]
    versions = [
        f"{name} {about[name]}"
        for name in ("channels", "channels-redis", "daphne", "redis", "uvicorn")
    ]
    yield (
        f"{about['date'][:10]}, {about['cores']} cores, {about['system'].split('-')[0]}, "
        f"Python {about['python']}, Django {about['django']}, {', '.join(versions)}; "
        f"the limit runs on {about['limit_loop'].split('.')[0]}; "
        f"{run['plan']['rounds']} rounds, {run['plan']['sockets']:,} sockets."
    )


TABLES: dict[str, Callable[[Run], Iterator[str]]] = {
    "goals": goals,
    "summary": summary,
    "subjects": subjects,
    "calls": calls,
    "machine": machine,
}


def filled_in(document: str, run: Run) -> str:
    """Return a document with the tables of a run in their places."""

    def fill(place: re.Match[str]) -> str:
        start, name, end = place.groups()
        return "\n".join([start + "\n".join(TABLES[name](run)), end])

    return PLACE.sub(fill, document)


def _word(run: Run, name: str) -> str:
    reached = verdict(name, run[name]).endswith("yes")
    elsewhere = name in run["uvicorn"] and verdict(name, run["uvicorn"][name]).endswith("yes")
    return "reached" if reached else "missed, reached on uvicorn" if elsewhere else "**missed**"


def _spread(medians: Mapping[str, float], ranges: Mapping[str, list[float]], name: str) -> str:
    return _span(medians[name], *ranges[name])


def _values(values: list[float]) -> str:
    return _span(median(values), min(values), max(values)) if values else ""


def _span(middle: float, low: float, high: float) -> str:
    return (
        _number(middle)
        if low == high
        else f"{_number(middle)} ({_number(low)} to {_number(high)})"
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    run = last_run(Path(sys.argv[1]))
    for path in map(Path, sys.argv[2:]):
        path.write_text(filled_in(path.read_text(), run))
