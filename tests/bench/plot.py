"""Latency against open sockets: `python -m tests.bench.plot FILE.json FILE.svg`.

Draws the last run in a file written by `--json`. Both axes are logarithmic; a point is the
median of the rounds.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from math import ceil, floor, log10
from pathlib import Path
from statistics import median

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 46, 52  # margins; the names stand in the right one
LINE_HEIGHT = 16
COLOURS = {
    "ours": "#0b6e4f",
    "ours, uvicorn": "#3a9d7c",
    "limit": "#555555",
    "tutorial": "#c1440e",
    "tutorial, core": "#d98c3f",
    "polling": "#7a4fa3",
}
NAMES = {
    "ours": "ours, daphne",
    "limit": "limit (bare server)",
    "tutorial": "tutorial, pubsub",
    "polling": "celery-progress",
}
STYLE = (
    "text{font:13px sans-serif;fill:#222}.title{font-weight:600;font-size:15px}.axis{fill:#555}"
)

Series = dict[int, float]  # milliseconds of each number of sockets


def series_of(record: Mapping[str, Mapping[str, Mapping[str, list[float]]]]) -> dict[str, Series]:
    """Return the medians of one run, by subject."""
    return {
        name: {int(size): median(rounds) for size, rounds in curve.items()}
        for name, curve in record["by_sockets_ms"].items()
    }


class Plot:
    """Places numbers on the picture."""

    def __init__(self, series: Mapping[str, Series]) -> None:
        sizes = [size for curve in series.values() for size in curve]
        values = [value for curve in series.values() for value in curve.values()]
        self.sizes = sorted(set(sizes))
        self._x = log10(min(sizes)), log10(max(sizes))
        self._y = floor(2 * log10(min(values))) / 2, ceil(2 * log10(max(values))) / 2
        self.powers = range(ceil(self._y[0]), floor(self._y[1]) + 1)
        self.series = series

    def svg(self) -> str:
        """Return the picture."""
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            "<title>Median latency against open sockets</title>",
            f'<style>{STYLE}</style><rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
            *self._axes(),
            *self._curves(),
            *self._names(),
        ]
        return "\n".join([*parts, "</svg>", ""])

    def _axes(self) -> Iterator[str]:
        right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
        yield _text(
            LEFT,
            24,
            "From the worker's call to the frame at the page: median, milliseconds",
            "title",
        )
        for power in self.powers:
            y = self._top(10.0**power)
            yield f'<path d="M{LEFT} {y:.1f}H{right}" stroke="#ddd"/>'
            yield _text(LEFT - 8, y + 4, f"{10.0**power:g}", "axis", "end")
        for size in self.sizes:
            x = self._left(size)
            yield f'<path d="M{x:.1f} {TOP}V{bottom}" stroke="#eee"/>'
            yield _text(x, bottom + 18, f"{size:,}", "axis", "middle")
        yield _text(
            (LEFT + right) / 2, HEIGHT - 12, "open pages, one server process", "axis", "middle"
        )

    def _curves(self) -> Iterator[str]:
        for name, curve in self.series.items():
            points = [
                (self._left(size), self._top(value)) for size, value in sorted(curve.items())
            ]
            line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            colour, width = COLOURS.get(name, "#000"), 3 if name == "ours" else 2
            style = f'fill="none" stroke="{colour}" stroke-width="{width}"'
            yield f'<polyline points="{line}" {style}/>'
            yield from (
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points
            )

    def _names(self) -> Iterator[str]:
        ends = {name: max(curve.items()) for name, curve in self.series.items()}
        wanted = sorted((self._top(value), name) for name, (_size, value) in ends.items())
        for y, (_y, name) in zip(
            apart([y for y, _name in wanted], LINE_HEIGHT), wanted, strict=True
        ):
            x = self._left(ends[name][0]) + 9
            style = f"fill:{COLOURS.get(name, '#000')}"
            yield f'<text x="{x:.1f}" y="{y + 4:.1f}" style="{style}">{_label(name)}</text>'

    def _left(self, size: float) -> float:
        low, high = self._x
        return LEFT + (log10(size) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def _top(self, value: float) -> float:
        low, high = self._y
        return HEIGHT - BOTTOM - (log10(value) - low) / (high - low) * (HEIGHT - TOP - BOTTOM)


def apart(places: Iterable[float], least: float) -> list[float]:
    """Return the sorted places, the later moved on where they are closer than the least."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + least) if moved else place)
    return moved


def _label(name: str) -> str:
    return escape(NAMES.get(name, name))


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    style = f'class="{kind}" text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'


def last_run(file: Path) -> dict:
    """Return the last line of a file of runs."""
    return json.loads(file.read_text().splitlines()[-1])


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    target.write_text(Plot(series_of(last_run(source))).svg())
