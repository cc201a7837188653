"""What happened, in order: what people heard and were answered, what tasks saw, what hooks left in
the database, and what the nemesis did.
"""

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Event:
    """Something that somebody saw or did; times are in seconds since 1970."""

    at: float
    kind: str
    """One of KINDS."""
    job: str = ""
    who: str = ""
    """A page, a component of the stack, the name of a hook."""
    state: str = ""
    version: int = 0
    socket: int = 0
    """Which of the page's connections; 0 is none."""
    status: int = 0
    """Of HTTP; 0 if the connection was cut."""
    url: str = ""
    word: str = ""
    until: float = 0.0
    pids: tuple[int, ...] = ()

    def __str__(self) -> str:
        """Return the line of a log; hours and dates say nothing here."""
        rest = {name: value for name, value in asdict(self).items() if value and name != "until"}
        words = [f"{name}={value}" for name, value in rest.items() if name not in NAMELESS]
        length = f"{self.until - self.at:.2f}s" if self.until else ""
        return " ".join(
            filter(None, [f"{self.at % 10000:9.3f}", f"{self.kind:8}", *words, length])
        )


NAMELESS = ("at", "kind", "job")
KINDS = {
    "started": "a view was asked for a job, and gave one; `word` is the kind of task",
    "heard": "a page heard a state",
    "looked": "the answer to a look at the job, if it was not a frame",
    "posted": "a page posted to ready/, its answer came at `until`",
    "cancelled": "a page posted to cancel/",
    "found": "what a look at the job showed after the end of everything",
    "left": "a page was left unserved at the end",
    "begins": "a task began to run in the process `pids`",
    "ends": "a task ended; `word` is complete, or the exception",
    "hook": "a hook's row, `who` is the hook, `state` the outcome for which it ran",
    "row": "the archive's row at the end; `word` is claimed if it is",
    "fault": "the nemesis did `word` to `who`, `pids` were killed",
    "emptied": "all that Redis held was gone; `who` is store, broker or both",
    "calm": "the nemesis has stopped, and everything runs again",
}


class History:
    """Takes events from any thread."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.events = list(events)

    def add(self, kind: str, at: float | None = None, **more) -> None:
        """Note something that happens now."""
        self.events.append(Event(time.time() if at is None else at, kind, **more))

    def of_kind(self, *kinds: str) -> list[Event]:
        """Return the events of some kinds, by their times."""
        return sorted((e for e in self.events if e.kind in kinds), key=lambda event: event.at)

    def jobs(self) -> dict[str, list[Event]]:
        """Return each job's own events, by their times; only of jobs that somebody waits for."""
        found: defaultdict[str, list[Event]] = defaultdict(list)
        for event in sorted(self.events, key=lambda event: event.at):
            if event.job:
                found[event.job].append(event)
        return {
            job: events
            for job, events in found.items()
            if any(e.kind == "started" for e in events)
        }
