"""Finds what broke a promise in a history. Each rule reads the events of one job, by their times,
and returns what is wrong in words.
"""

from collections.abc import Callable, Iterable

from tests.system.harness.person import ENDED

from .history import Event, History
from .losses import why_gone

CUT = 0  # the status of an answer that did not come
BUSY = (502, 503, 504)
EXPECTED = (CUT, 200, 202, 302, 404, 409, *BUSY)

Rule = Callable[[list[Event]], Iterable[str]]


def check(history: History) -> dict[str, list[str]]:
    """Return what is wrong with each job, and under "" what is wrong without one."""
    wrong = {"": _statuses(history.of_kind("looked", "posted", "cancelled", "found"))}
    emptied = history.of_kind("emptied")
    for job, events in history.jobs().items():
        wrong[job] = [text for rule in RULES for text in rule(events)]
        wrong[job] += _left(events, history)
        wrong[job] += _missing_too_early(events, emptied)
    return {job: texts for job, texts in wrong.items() if texts}


def gone(history: History) -> dict[str, str]:
    """Return the jobs that vanished although a page is open, each with the reason."""
    jobs = history.jobs().items()
    return {
        job: why_gone(events, history)
        for job, events in jobs
        if any(e.kind == "left" for e in events) and not _of(events, "row")
    }


def hook_runs_once(events: list[Event]) -> Iterable[str]:
    """At most one hook takes effect."""
    if len(hooks := _of(events, "hook")) > 1:
        yield f"{len(hooks)} hooks took effect"


def hook_is_of_an_end(events: list[Event]) -> Iterable[str]:
    """A hook runs for an end, `on_ready` for a task that had come to its good end by then."""
    for hook in _of(events, "hook"):
        if hook.state not in ENDED:
            yield f"{hook.who} ran for a job that was {hook.state}"
        if (hook.who == "on_ready") != (hook.state == "complete"):
            yield f"{hook.who} ran for {hook.state}"
        ends = [e for e in _of(events, "ends") if e.word == "complete" and e.at <= hook.at]
        if hook.who == "on_ready" and not ends:
            yield "on_ready ran before any task had come to its good end"


def hook_is_archived(events: list[Event]) -> Iterable[str]:
    """The archive has the outcome for which the hook ran, and that it is claimed."""
    row = next(iter(_of(events, "row")), None)
    for hook in _of(events, "hook"):
        if row is None or row.state != hook.state:
            yield f"{hook.who} ran for {hook.state}, the archive has {row and row.state}"
    if row is not None and bool(row.word) != bool(_of(events, "hook")):
        yield f"the archive says {row.word or 'unclaimed'}, hooks: {len(_of(events, 'hook'))}"


def places_are_one(events: list[Event]) -> Iterable[str]:
    """Every post that is answered with a place gets the same, the one in the archive."""
    places = {e.url for e in [*_of(events, "posted"), *_of(events, "row")] if e.url}
    if len(places) > 1:
        yield f"sent to {len(places)} places: {', '.join(sorted(places))}"
    if any(e.url for e in _of(events, "posted")) and not _of(events, "hook"):
        yield "a post was answered with a place, and no hook ran"


def page_heard_what_was_claimed(events: list[Event]) -> Iterable[str]:
    """Who is sent on has heard the outcome for which the hook ran.

    `lost` alone may be corrected while the post is on its way, and may be alive again in between.
    """
    for hook in _of(events, "hook"):
        for post in _of(events, "posted"):
            if post.url and post.state in ENDED - {hook.state, "lost"}:
                yield f"{post.who} had heard {post.state}, the hook ran for {hook.state}"


def nothing_else_is_heard_after_a_claim(events: list[Event]) -> Iterable[str]:
    """No state that is newer than the claimed outcome differs from it."""
    for row in _of(events, "row"):
        for heard in _of(events, "heard"):
            if row.word and heard.version > row.version and heard.state != row.state:
                yield f"{heard.who} heard {heard.state} later than the claimed {row.state}"


def everybody_finds_what_is_archived(events: list[Event]) -> Iterable[str]:
    """Who comes back when all is over finds the job as the archive has it."""
    row = next(iter(_of(events, "row")), None)
    for found in _of(events, "found"):
        if row is not None and (found.status, found.state) != (200, row.state):
            yield f"found {found.status} {found.state}, the archive has {row.state}"


def versions_grow(events: list[Event]) -> Iterable[str]:
    """What a page hears on one socket becomes newer and newer."""
    last: dict[tuple[str, int], int] = {}
    for heard in (e for e in _of(events, "heard") if e.socket):
        key = heard.who, heard.socket
        if heard.version < last.get(key, 0):
            yield f"{heard.who} heard version {heard.version} after {last[key]}"
        last[key] = heard.version


RULES: tuple[Rule, ...] = (
    hook_runs_once,
    hook_is_of_an_end,
    hook_is_archived,
    places_are_one,
    page_heard_what_was_claimed,
    nothing_else_is_heard_after_a_claim,
    everybody_finds_what_is_archived,
    versions_grow,
)


def _statuses(events: list[Event]) -> list[str]:
    """No request is answered with an error of ours, at any time."""
    return [f"answered with {e.status}: {e}" for e in events if e.status not in EXPECTED]


def _left(events: list[Event], history: History) -> list[str]:
    """Nobody is left without a place, except whose job was lost as the documents say."""
    left = _of(events, "left")
    if not left or (not _of(events, "row") and why_gone(events, history)):
        return []
    return [f"{e.who} was left waiting, having heard {e.state or 'nothing'}" for e in left]


def _missing_too_early(events: list[Event], emptied: list[Event]) -> list[str]:
    """A job is not found only after Redis was emptied."""
    started = _of(events, "started")[0].at
    first = min((e.at for e in emptied if e.who != "broker" and e.until >= started), default=None)
    missing = [e for kind in ("looked", "posted", "cancelled") for e in _of(events, kind)]
    return [
        f"{e.who} was answered 404 before Redis was emptied"
        for e in missing
        if e.status == 404 and (first is None or max(e.at, e.until) < first)
    ]


def _of(events: list[Event], kind: str) -> list[Event]:
    return [event for event in events if event.kind == kind]
