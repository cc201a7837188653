"""What the scripts `write.lua` and `withdraw.lua` are given, argument by argument."""

from itertools import chain

from jobs.conf import jobs_settings
from jobs.core.record import Record, changed_fields, to_hash
from jobs.core.transitions import Change

from .keys import job_key, unique_key
from .push import Push
from .scripts import Call

WRITTEN, HELD = 1, 2  # answers of write.lua; HELD: another job holds the unique key


def write_call(
    old: Record | None, new: Record, change: Change, push: Push | None, mark: str
) -> Call:
    """Return the call that replaces `old` by `new`."""
    return _call(old, new, change, push, mark, _hold(new))


def create_call(new: Record, change: Change, push: Push | None, mark: str, ended: str) -> Call:
    """Return the call that creates a job and takes its unique key, if it has one."""
    return _call(None, new, change, push, mark, "take" if new.unique else "", ended)


def withdraw_call(record: Record, mark: str) -> Call:
    """Return the call that deletes a job if it is still as the marked write has left it."""
    return Call("withdraw", job_key(record.id), [mark], _unique_keys(record))


def _hold(new: Record) -> str:
    """Return what the write does with the unique key, in the words of write.lua."""
    if not new.unique:
        return ""
    return "free" if new.state.is_ended else "hold"


def _call(
    old: Record | None,
    new: Record,
    change: Change,
    push: Push | None,
    mark: str,
    hold: str,
    ended: str = "",
) -> Call:
    """Return the call of write.lua, where the arguments are explained."""
    fields, deleted = changed_fields(old, new) if old else (to_hash(new), [])
    for name in ("version", change.stamp, "deadline" if change.deadline is not None else ""):
        fields.pop(name, None)
    channels = push.channels if push else ()
    published = push.pieces(bool(change.stamp)) if push else ()
    arguments = [
        old.version if old else "",
        mark,
        int(change.overdue),
        jobs_settings().TTL,
        "" if change.deadline is None else f"{change.deadline * 1_000_000:.0f}",
        change.stamp,
        int(change.keep_version),
        new.version,
        hold,
        ended,
        len(fields),
        len(deleted),
        len(channels),
        *chain(*fields.items()),
        *deleted,
        *channels,
        *published,
    ]
    return Call("write", job_key(new.id), arguments, _unique_keys(new) if hold else ())


def _unique_keys(record: Record) -> list[str]:
    return [unique_key(record.unique)] if record.unique else []
