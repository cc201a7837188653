"""The figures as a table for people, and as one line of JSON for programs."""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from statistics import median
from typing import Any

import django

from .figures import Rounds, Spread, verdict
from .turn import Plan

COLUMN = 24  # characters


def table(rounds: Rounds, calls: Mapping[str, list[float]], results: Mapping[str, Spread]) -> str:
    """Return three tables: what each subject took, what the calls took, and the ratios with their goals."""
    subjects = list(rounds)
    figures = dict.fromkeys(name for taken in rounds.values() for name in taken[0])
    lines = [_row("", *(subject.name for subject in subjects))]
    for figure in figures:
        lines.append(_row(figure, *(_spread([f[figure] for f in rounds[s] if figure in f]) for s in subjects)))
    lines += ["", _row("in the worker", "microseconds a call")]
    lines += [_row(kind, _spread(taken)) for kind, taken in calls.items()]
    lines += ["", f"{'result':32}{'median':>10}{'range':>20}  goal"]
    for name, spread in results.items():
        span = f"{spread.low:.2f} to {spread.high:.2f}"
        lines.append(f"{name:32}{spread.median:10.2f}{span:>20}  {verdict(name, spread.median)}".rstrip())
    return "\n".join(lines)


def json_line(
    rounds: Rounds, calls: Mapping[str, list[float]], results: Mapping[str, Spread], plan: Plan, loop: str
) -> str:
    """Return the medians under the results' names, and after them what they come from."""
    record: dict[str, Any] = {name: round(spread.median, 4) for name, spread in results.items()}
    record["ranges"] = {name: [round(spread.low, 4), round(spread.high, 4)] for name, spread in results.items()}
    record["rounds"] = {subject.name: taken for subject, taken in rounds.items()}
    record["calls_us"] = dict(calls)
    record["plan"] = asdict(plan)
    record["machine"] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "django": django.__version__,
        "limit_loop": loop,
    }
    return json.dumps(record)


def _row(name: str, *cells: str) -> str:
    return f"{name:20}{''.join(f'{cell:>{COLUMN}}' for cell in cells)}".rstrip()


def _spread(values: list[float]) -> str:
    if not values:
        return "-"
    return f"{median(values):.2f} ({min(values):.2f}-{max(values):.2f})"
