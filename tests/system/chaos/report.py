"""What is printed of a chaos: its figures, the faults, and the life of each broken job."""

import re
from collections import Counter
from collections.abc import Iterator

from .checker import gone
from .history import History


def figures(history: History) -> Iterator[str]:
    """Count what happened."""
    jobs = history.jobs()
    posts = history.of_kind("posted")
    faults = history.of_kind("fault")
    rows = [row for row in history.of_kind("row") if row.job in jobs]
    hooks = [hook for hook in history.of_kind("hook") if hook.job in jobs]
    places = sum(bool(post.url) for post in posts)
    yield f"{len(jobs)} jobs: {_count(e.word for e in history.of_kind('started'))}"
    yield f"outcomes: {_count(row.state for row in rows)}"
    yield f"gone: {_count(gone(history).values())}"
    yield f"{len(faults)} faults: {_count(f'{e.who} {e.word}' for e in faults)}"
    yield f"{len(posts)} posts, {places} with a place: {_count(str(e.status) for e in posts)}"
    yield f"looks that were no frame: {_count(str(e.status) for e in history.of_kind('looked'))}"
    yield f"cancels: {_count(str(e.status) for e in history.of_kind('cancelled'))}"
    yield f"{len(hooks)} hooks: {_count(hook.who for hook in hooks)}"
    yield f"{len(history.of_kind('heard'))} states heard"
    yield f"corrected between what was heard and the claim: {_corrected(history)}"


LOGGED = re.compile(r"ERROR ([a-z]\S*: .*)|^\w+ \| ([\w.]+(?:Error|Exception|Unavailable)\b.*)")


def errors(lines: list[str]) -> str:
    """Count the errors and the exceptions that servers and workers logged, without ids."""
    found = [match[1] or match[2] for match in map(LOGGED.search, lines) if match]
    return _count(re.sub(r"[0-9a-f]{8}[0-9a-f-]*", "…", text)[:160] for text in found)


def life(history: History, job: str) -> Iterator[str]:
    """Tell of one job, and of what was done to the stack during its life."""
    events = history.jobs().get(job, [])
    if not events:
        return
    first, last = events[0].at - 1, max(event.at for event in events) + 1
    around = history.of_kind("fault", "emptied", "calm")
    for event in sorted(
        [*events, *(e for e in around if first <= e.at <= last)], key=lambda event: event.at
    ):
        yield f"    {event}"


def _corrected(history: History) -> int:
    states = {row.job: row.state for row in history.of_kind("row")}
    return sum(
        bool(post.url) and post.state != states.get(post.job) for post in history.of_kind("posted")
    )


def _count(words) -> str:
    counts = Counter(words).most_common()
    return ", ".join(f"{number} {word}" for word, number in counts) or "none"
