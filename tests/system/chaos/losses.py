"""Which jobs may be gone: those that docs/operate.md gives up ("What is promised")."""

from .history import Event, History
from .stack import HEARTBEAT

REWRITTEN = (
    2 * HEARTBEAT + 1
)  # seconds after an emptying in which a worker may write its jobs again
WRITTEN = 4.0  # seconds after a task in which its end may be on the way to the archive

UNTAKEN = "Redis emptied before a worker took it"
TWICE = "its worker died and Redis was emptied"


def why_gone(events: list[Event], history: History) -> str:
    """Return the reason for which a job may be gone, or ""."""
    started = next(event.at for event in events if event.kind == "started")
    emptyings = [e for e in history.of_kind("emptied") if e.until >= started]
    reasons = [
        why
        for emptied in emptyings
        if emptied.who != "broker" and (why := _why_lost(events, emptied, history))
    ]
    has_message = all(e.who == "store" for e in emptyings)
    if UNTAKEN in reasons and has_message and not _deaths(history):
        return ""  # the message is there, and brings the record
    return next(iter(reasons), "")


def _why_lost(events: list[Event], emptied: Event, history: History) -> str:
    """Return why an emptying was the end of a job; "" if a worker still had it."""
    runs = [run for run in _runs(events) if run[0].at < emptied.at]
    if not runs:
        return UNTAKEN
    begins, ends = runs[-1]
    if ends is not None and ends.word == "Retry" and ends.at < emptied.until:
        return UNTAKEN
    until = ends.at + WRITTEN if ends is not None else float("inf")
    for death in _deaths(history, begins.pids):
        died_in_time = death.at <= min(until, emptied.until + REWRITTEN)
        if died_in_time and begins.at <= max(death.at, death.until):
            return TWICE
    return ""


def _runs(events: list[Event]) -> list[tuple[Event, Event | None]]:
    """Return the runs of a job's task, each with its end if it came to one."""
    runs = []
    for begins in (event for event in events if event.kind == "begins"):
        later = (
            event
            for event in events
            if event.kind == "ends" and event.pids == begins.pids and event.at >= begins.at
        )
        runs.append((begins, next(later, None)))
    return runs


def _deaths(history: History, pids: tuple[int, ...] = ()) -> list[Event]:
    """Return when workers died, those only that had one of these processes if any are given.

    Of a worker that ended by itself the pool is not known, so it may have been any.
    """
    faults = [e for e in history.of_kind("fault") if e.pids or e.word == "had ended"]
    return [e for e in faults if not pids or set(pids) & set(e.pids) or e.word == "had ended"]
