"""The figures as a table for people, and as one line of JSON for programs."""

import json
import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from statistics import median
from typing import Any

import django

from .figures import Spread, on_uvicorn, results, verdict
from .measure import Taken
from .turn import Plan

COLUMN = 24  # characters
LIBRARIES = ("channels", "channels-redis", "daphne", "redis", "celery", "uvicorn", "websockets")


def table(taken: Taken) -> str:
    """Return tables: subjects, calls, lives, growth, and the ratios with their goals."""
    parts = [
        _of_subjects(taken),
        _of_calls(taken),
        _of_growth(taken),
        _of_results(results(taken), "result"),
    ]
    return "\n".join(line for part in parts for line in [*part, ""]) + "\n".join(
        _of_results(on_uvicorn(taken), "the same on uvicorn")
    )


def json_line(taken: Taken, plan: Plan) -> str:
    """Return the medians under the results' names, and after them what they come from."""
    found, uvicorn = results(taken), on_uvicorn(taken)
    record: dict[str, Any] = _medians(found)
    record["uvicorn"] = _medians(uvicorn)
    record["ranges"] = _ranges(found)
    record["uvicorn_ranges"] = _ranges(uvicorn)
    record["missed"] = [
        name for name, spread in found.items() if verdict(name, spread.median).endswith("NO")
    ]
    record["rounds"] = {subject.name: turns for subject, turns in taken.rounds.items()}
    record["calls_us"] = dict(taken.calls)
    record["lives"] = dict(taken.lives)
    record["by_sockets_ms"] = {subject.name: curve for subject, curve in taken.by_sockets.items()}
    record["by_stored_ms"] = taken.by_stored
    record["plan"] = asdict(plan)
    record["machine"] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "django": django.__version__,
        "limit_loop": taken.loop,
        **{name: version(name) for name in LIBRARIES},
    }
    return json.dumps(record)


def _of_subjects(taken: Taken) -> Iterator[str]:
    rounds = taken.rounds
    figures = dict.fromkeys(name for turns in rounds.values() for turn in turns for name in turn)
    yield _row("", *(subject.name for subject in rounds))
    for figure in figures:
        yield _row(
            figure,
            *(
                _spread([turn[figure] for turn in turns if figure in turn])
                for turns in rounds.values()
            ),
        )


def _of_calls(taken: Taken) -> Iterator[str]:
    yield _row("in the worker", "microseconds a call")
    for kind, microseconds in taken.calls.items():
        yield _row(kind, _spread(microseconds))
    yield ""
    yield _row("a real worker", "milliseconds")
    yield _row("a whole life", _spread(taken.lives["life_ms"]))
    yield _row("a bare task", _spread(taken.lives["task_ms"]))
    for name, milliseconds in taken.lives["steps_ms"].items():
        yield _row(f"  {name}", f"{milliseconds:.2f}")


def _of_growth(taken: Taken) -> Iterator[str]:
    sizes = sorted({size for curve in taken.by_sockets.values() for size in curve})
    yield _row("p50_ms, sockets", *map(str, sizes))
    for subject, curve in taken.by_sockets.items():
        yield _row(subject.name, *(_spread(curve.get(size, [])) for size in sizes))
    yield ""
    yield _row("p50_ms, stored jobs", *map(str, taken.by_stored))
    yield _row("ours", *map(_spread, taken.by_stored.values()))


def _of_results(found: Mapping[str, Spread], title: str) -> Iterator[str]:
    yield f"{title:32}{'median':>10}{'range':>20}  goal"
    for name, spread in found.items():
        span = f"{spread.low:.2f} to {spread.high:.2f}"
        yield f"{name:32}{spread.median:10.2f}{span:>20}  {verdict(name, spread.median)}".rstrip()


def _medians(found: Mapping[str, Spread]) -> dict[str, float]:
    return {name: round(spread.median, 4) for name, spread in found.items()}


def _ranges(found: Mapping[str, Spread]) -> dict[str, list[float]]:
    return {name: [round(spread.low, 4), round(spread.high, 4)] for name, spread in found.items()}


def _row(name: str, *cells: str) -> str:
    return f"{name:20}{''.join(f'{cell:>{COLUMN}}' for cell in cells)}".rstrip()


def _spread(values: list[float]) -> str:
    if not values:
        return "-"
    return f"{median(values):.2f} ({min(values):.2f}-{max(values):.2f})"
