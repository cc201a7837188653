"""The admin's summary: how jobs ended in the last days, and how long they usually take."""

from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from jobs.archive.durations import typical_durations
from jobs.archive.history import last_days
from jobs.handlers import handler_paths

from .display import short_handler
from .pages import AdminPage

SUMMARY_DAYS = 14


class SummaryPage(AdminPage):
    """How jobs ended in the last days, and how long each handler usually takes."""

    template_name = "jobs/admin/summary.html"

    def context(self, request: HttpRequest) -> dict[str, Any]:
        """Return the days with their bars, and the handlers with their usual times."""
        days = list(last_days(SUMMARY_DAYS))
        most = max(day.total for day in days) or 1
        usual_times = [(short_handler(name), typical_durations(name)) for name in handler_paths()]
        longest = max(
            (time for _name, times in usual_times for time in times[2:] if time), default=1
        )
        return {
            "title": _("Summary of jobs"),
            "days": [(day, list(_bars(list(day.counts.items()), most))) for day in days],
            "states": list(days[0].counts),
            "usual_times": [
                (name, times, _span(times[2:], longest))
                for name, times in usual_times
                if any(time is not None for time in times)
            ],
        }


def _bars(counts: list[tuple[Any, int]], most: int) -> Iterator[tuple[str, float, float]]:
    """Yield state, start and width of each part of a bar, in percent of the longest bar."""
    start = 0.0
    for state, count in counts:
        width = 100 * count / most
        yield state.value, round(start, 2), round(width, 2)
        start += width


def _span(times: tuple[float | None, ...], longest: float) -> list[tuple[str, float, float]]:
    """Return name, start and width of a bar's parts: until half, then nine in ten have ended."""
    half, most = (100 * (time or 0) / longest for time in times)
    return [("half", 0, round(half, 2)), ("most", round(half, 2), round(most - half, 2))]
