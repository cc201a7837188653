"""Where a job lives while it runs: its record in Redis, and what may be asked of many of them at a time.

Each change of a job is one script: it checks that nobody else has written since, writes, and pushes, all or nothing.
Every time that is compared is read off Redis's clock. Connection errors become `StoreUnavailable`.
"""

import math
import secrets
from collections.abc import Sequence
from functools import partial
from itertools import chain, count
from typing import Any, NamedTuple

from jobs.conf import jobs_settings
from jobs.core.clock import TIME_TO_COME, VERSION_TO_COME
from jobs.core.record import Record, changed_fields, from_hash, to_hash
from jobs.core.transitions import Change
from jobs.exceptions import StoreUnavailable
from jobs.runtime.backlog import withdrawals
from jobs.runtime.per_process import per_process
from jobs.states import ALIVE

from . import connection, keys
from .indexes import entries
from .scripts import Call, client, errors, is_of_another_type, run, run_all

_VERSION, _TIME = str(VERSION_TO_COME).encode(), TIME_TO_COME.encode()

IS_HELD = 2  # how the script answers when another job holds the unique key


class Push(NamedTuple):
    """What to PUBLISH, and on which of Redis's channels."""

    channels: Sequence[str]
    payload: bytes


class Outcome(NamedTuple):
    """What became of a write: the record as it is now stored (None: there is none), and whether we wrote it.

    `version` is what the write gave the record. It is less than the record's own if the answer to the write got
    lost and others have written before it was repeated. `marks` tells of the newest 16 writes or so; it is known
    after a write that was refused. `holder` is the job that holds the record's unique key, if that is why nothing was
    written.
    """

    written: bool
    record: Record | None
    now: int = 0
    version: int = 0
    marks: str = ""  # each as `<mark>:<version> `, the newest first
    holder: str = ""


class Glance(NamedTuple):
    """What is seen of a job at a glance; of one that is not there nothing."""

    is_alive: bool = False
    is_overdue: bool = False
    state: str = ""


def write(
    old: Record | None, new: Record, change: Change, push: Push | None = None, mark: str = ""
) -> Outcome:
    """Turn the stored `old` into `new` (`None` writes it anew) and publish, in one round trip.

    Nothing happens, and the outcome tells what is stored, if somebody else has written since `old` was read.
    Safe to repeat: a write whose answer was lost is recognised by its mark, also after others have written. A
    caller that repeats a write itself passes the same `mark` each time.
    """
    mark = "" if change.is_repeatable else mark or new_mark()
    hold = "" if not new.unique else "free" if new.state.is_ended else "hold"
    return _outcome(old, new, change, mark, run(_call(old, new, change, push, mark, hold)))


def create(new: Record, change: Change, push: Push | None = None, ended: str = "") -> Outcome:
    """Write a new job, enter it in its lists, and publish, in one round trip; nothing is written if its id is taken.

    A job with a unique key takes two round trips, so that one which another job stands in for is in no list. Nothing
    is written of it while another job holds the key, unless that is `ended`, the id of a job known to have ended.

    When it raises `StoreUnavailable` the job will never be started, so what may have been written of it is taken back:
    at once, or by this process as soon as Redis answers.
    """
    mark = new_mark()
    take = _call(None, new, change, push, mark, f"take {ended}" if new.unique else "")
    lists = entries(new, change.deadline or 0)
    first, later = ([take], lists) if new.unique else ([take, *lists], [])
    try:
        outcome = _outcome(None, new, change, mark, _all_of(first)[0])
        if outcome.written and later:
            _all_of(later)
        return outcome
    except StoreUnavailable:
        _take_back(new, mark)
        raise


def holder(unique: str) -> str:
    """Return the id of the job that holds a unique key; "" if none does."""
    with errors():
        held: Any = client().get(unique_key(unique))
    return held or ""


def read(job_id: str) -> Outcome:
    """Read one job, with the moment at which it was read."""
    return read_all([job_id])[0]


def read_all(job_ids: Sequence[str]) -> list[Outcome]:
    """Read many jobs in one round trip."""
    with errors():
        answers = ask(client().pipeline(transaction=False), job_ids).execute(raise_on_error=False)
        return outcomes(job_ids, answers)


def ask(pipeline: Any, job_ids: Sequence[str]) -> Any:
    """Put into a pipeline what it takes to read jobs, and return it."""
    pipeline.time()
    for job_id in job_ids:
        pipeline.hgetall(job_key(job_id))
    return pipeline


def outcomes(job_ids: Sequence[str], answers: Sequence[Any]) -> list[Outcome]:
    """Return the jobs that a pipeline's answers tell of."""
    time, *hashes = answers
    if isinstance(time, Exception):
        raise time
    now = time[0] * 1_000_000 + time[1]
    return [
        Outcome(False, _record(job_id, stored), now)
        for job_id, stored in zip(job_ids, hashes, strict=True)
    ]


def glance(job_ids: Sequence[str]) -> list[Glance]:
    """Look at the states of many jobs in one round trip; far cheaper than to read them."""
    pipeline = client().pipeline(transaction=False)
    pipeline.time()
    for job_id in job_ids:
        pipeline.hmget(job_key(job_id), "state", "deadline")
    with errors():
        time, *answers = pipeline.execute(raise_on_error=False)
        if isinstance(time, Exception):
            raise time
    return [_glance(answer, time[0] * 1_000_000 + time[1]) for answer in answers]


def beat(job_ids: Sequence[str], lost_after: float) -> None:
    """Put off the deadlines of those of the jobs that are running, by seconds; in one round trip."""
    arguments = [f"{lost_after * 1_000_000:.0f}", jobs_settings().TTL + math.ceil(lost_after)]
    run_all([Call("beat", job_key(job_id), arguments) for job_id in job_ids])


def ping() -> None:
    """Raise `StoreUnavailable` unless Redis answers."""
    with errors():
        client().ping()


def clock() -> int:
    """Return the time of Redis in microseconds."""
    with errors():
        seconds, microseconds = client().time()
    return int(seconds) * 1_000_000 + int(microseconds)


def examine(push: Push | None = None) -> tuple[int, str]:
    """Write a record by the script, push with it, and remove it; return Redis's clock in microseconds and its policy.

    The policy is what Redis does when its memory is full; "" where that has no limit. Raises `StoreUnavailable`.
    """
    outcome = write(None, Record(f"doctor-{secrets.token_hex(8)}"), Change(), push)
    if not outcome.written or outcome.record is None:
        raise StoreUnavailable("Redis at JOBS['REDIS_URL'] did not take what was written to it.")
    with errors():
        client().delete(job_key(outcome.record.id))
        memory: Any = client().info("memory")
    return outcome.record.version, memory.get("maxmemory_policy", "") if memory.get(
        "maxmemory"
    ) else ""


def standby() -> connection.Standby | None:
    """Say which server holds the jobs, if sentinels may change that; raises `StoreUnavailable`."""
    with errors():
        return connection.standby(client())


def job_key(job_id: str) -> str:
    """Name the hash of one job; the braces keep all keys of a job in one slot of a cluster."""
    return keys.key(f"{{{job_id}}}")


def unique_key(unique: str) -> str:
    """Name the string that holds a unique key, by its digest."""
    return keys.key(f"unique:{unique}")


_marks = count()


@per_process
def _process_mark() -> str:
    """Return what is different in every process."""
    return secrets.token_hex(8)


def new_mark() -> str:
    """Return a name for one write, different from that of every other write of any process."""
    return f"{_process_mark()}{next(_marks)}"


def _all_of(calls: Sequence[Call]) -> list[Any]:
    """Run scripts in one round trip; raise the first error with which Redis refused one."""
    with errors():
        answers = run_all(calls)
        if refused := [answer for answer in answers if isinstance(answer, Exception)]:
            raise refused[0]
    return answers


def _call(
    old: Record | None, new: Record, change: Change, push: Push | None, mark: str, hold: str
) -> Call:
    fields, deleted = changed_fields(old, new) if old else (to_hash(new), [])
    for name in ("version", change.stamp, "deadline" if change.deadline is not None else ""):
        fields.pop(name, None)
    channels, published = (
        (push.channels, pieces(push.payload, bool(change.stamp))) if push else ((), ())
    )
    head = (
        f"{old.version if old else ''} {mark or '-'} {int(change.overdue)} {jobs_settings().TTL} "
        f"{'' if change.deadline is None else f'{change.deadline * 1_000_000:.0f}'} {change.stamp} "
        f"{'=' if change.keep_version else ''}{new.version} {len(fields)} {len(deleted)} {len(channels)}"
        f"{hold and ' '}{hold}"
    )
    arguments = [head, *chain(*fields.items()), *deleted, *channels, *published]
    return Call("write", job_key(new.id), arguments, _unique_keys(new) if hold else ())


def _unique_keys(record: Record) -> list[str]:
    return [unique_key(record.unique)] if record.unique else []


def _outcome(
    old: Record | None, new: Record, change: Change, mark: str, answer: Sequence[Any]
) -> Outcome:
    is_done, moment, *rest = answer
    if int(is_done) == IS_HELD:
        return Outcome(False, None, holder=moment)
    if int(is_done):
        version = int(moment)
        return Outcome(True, _written(old, new, change, version), 0, version)
    stored = dict(zip(rest[0][::2], rest[0][1::2], strict=True))
    marks = stored.get("marks", "")
    version = version_of(mark, marks) if mark else 0
    return Outcome(version > 0, _record(new.id, stored), int(moment), version, marks)


def version_of(mark: str, marks: str) -> int:
    """Return the version that a marked write gave its job, by the job's marks; 0 if it is not among them."""
    _before, found, after = marks.partition(f"{mark}:")
    return int(after.split(" ", 1)[0]) if found else 0


def _take_back(record: Record, mark: str) -> None:
    take_back = partial(run, Call("withdraw", job_key(record.id), [mark], _unique_keys(record)))
    try:
        take_back()
    except StoreUnavailable:
        withdrawals().add(take_back)


def _written(old: Record | None, new: Record, change: Change, version: int) -> Record:
    values: dict[str, Any] = {"version": version}
    if change.stamp:
        values[change.stamp] = version
    if change.deadline is not None:
        values["deadline"] = version + int(change.deadline * 1_000_000) if change.deadline else 0
    return new.replace(**values)


def _glance(answer: Any, now: int) -> Glance:
    if isinstance(answer, Exception) or not answer[0]:
        return Glance()
    stored, deadline = answer
    state = stored.strip('"')  # JSON, and a state's name holds nothing that would be escaped
    is_overdue = deadline is not None and deadline.isdecimal() and 0 < int(deadline) <= now
    return Glance(state in ALIVE, is_overdue, state)


def _record(job_id: str, stored: Any) -> Record | None:
    if is_of_another_type(stored):
        return from_hash(job_id, {})  # one damaged job must not hide the others
    if isinstance(stored, Exception):
        raise stored
    return from_hash(job_id, stored) if stored else None


def pieces(payload: bytes, is_stamped: bool) -> list[bytes]:
    """Cut what is to be published where the version belongs, of message and frame, and, if one does, the time."""
    first, *rest = payload.split(_VERSION, 2)
    return (
        [first, *rest[:-1], *rest[-1].split(_TIME, 1)] if rest and is_stamped else [first, *rest]
    )
