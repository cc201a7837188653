"""The records of jobs in Redis: read, created, and changed.

Each change is one script. It checks that nobody has written since the record was read, writes,
and publishes: all of it or nothing. Every time that is compared comes from Redis's clock. All
functions raise `StoreUnavailable` if Redis cannot be reached.
"""

import math
import secrets
from collections.abc import Sequence
from functools import partial
from itertools import count
from typing import Any, NamedTuple

from jobs.conf import jobs_settings
from jobs.core.record import Record, from_hash
from jobs.core.transitions import Change
from jobs.exceptions import StoreUnavailable
from jobs.runtime.backlog import withdrawals
from jobs.runtime.per_process import per_process

from .client import client, is_wrong_type, store_errors
from .indexes import index_calls
from .keys import job_key, unique_key
from .push import Push
from .scripts import Call, run, run_all
from .write_script import HELD, WRITTEN, create_call, withdraw_call, write_call


class Outcome(NamedTuple):
    """The result of a read or a write.

    `record` is what Redis has now, or None if it has nothing; `written` says whether this write
    made it. `version` is what this write gave the record. It is less than the record's own version
    if the answer to the write was lost, and others wrote before it was repeated. `marks` names
    about 16 of the newest writes; it is known after a write that was refused. `holder` is the job
    that holds the unique key, if that is why nothing was written.
    """

    written: bool
    record: Record | None
    now: int = 0
    version: int = 0
    marks: str = ""  # each as `<mark>:<version> `, the newest first
    holder: str = ""


def write(
    old: Record | None, new: Record, change: Change, push: Push | None = None, mark: str = ""
) -> Outcome:
    """Replace the stored `old` by `new` and publish, in one round trip.

    With `old=None` the record must not exist yet. If somebody else has written since `old` was
    read, nothing happens, and the outcome has what is stored. Safe to repeat: if the answer to a
    write was lost, its mark shows that it was done, even after others have written. A caller that
    repeats a write itself passes the same `mark` each time.
    """
    mark = "" if change.is_repeatable else mark or new_mark()
    answer = run(write_call(old, new, change, push, mark))
    return _outcome(new, change, mark, answer)


def create(new: Record, change: Change, push: Push | None = None, ended: str = "") -> Outcome:
    """Write a new job, add it to its indexes and publish, in one round trip.

    Nothing is written if the id is taken. A job with a unique key takes two round trips, because
    a job that is not created must not appear in an index. Nothing is written while another job
    holds the key, unless that job is `ended`: the id of a job that is known to have ended.

    After `StoreUnavailable` the job is never started. What may have been written is withdrawn: at
    once, or by this process as soon as Redis answers.
    """
    mark = new_mark()
    take = create_call(new, change, push, mark, ended)
    indexes = index_calls(new, change.deadline or 0)
    first, later = ([take], indexes) if new.unique else ([take, *indexes], [])
    try:
        outcome = _outcome(new, change, mark, _run_all(first)[0])
        if outcome.written and later:
            _run_all(later)
        return outcome
    except StoreUnavailable:
        _withdraw(new, mark)
        raise


def holder(unique: str) -> str:
    """Return the id of the job that holds a unique key, or "" if none does."""
    with store_errors():
        held: Any = client().get(unique_key(unique))
    return held or ""


def read(job_id: str) -> Outcome:
    """Read one job, with the time at which it was read."""
    return read_all([job_id])[0]


def read_all(job_ids: Sequence[str]) -> list[Outcome]:
    """Read many jobs in one round trip."""
    pipeline = queue_reads(client().pipeline(transaction=False), job_ids)
    with store_errors():
        return outcomes(job_ids, pipeline.execute(raise_on_error=False))


def queue_reads(pipeline: Any, job_ids: Sequence[str]) -> Any:
    """Add the commands that read the jobs to a pipeline, and return it."""
    pipeline.time()
    for job_id in job_ids:
        pipeline.hgetall(job_key(job_id))
    return pipeline


def outcomes(job_ids: Sequence[str], answers: Sequence[Any]) -> list[Outcome]:
    """Return the jobs from the answers to `queue_reads`; call it inside `store_errors`."""
    time, *hashes = answers
    if isinstance(time, Exception):
        raise time
    now = time[0] * 1_000_000 + time[1]
    return [
        Outcome(False, _record(job_id, stored), now)
        for job_id, stored in zip(job_ids, hashes, strict=True)
    ]


def beat(job_ids: Sequence[str], lost_after: float) -> None:
    """Move the deadlines of running jobs to `lost_after` seconds from now, in one round trip.

    Jobs that do not run stay as they are.
    """
    arguments = [f"{lost_after * 1_000_000:.0f}", jobs_settings().TTL + math.ceil(lost_after)]
    run_all([Call("beat", job_key(job_id), arguments) for job_id in job_ids])


def new_mark() -> str:
    """Return a name for one write that no other write of any process has."""
    return f"{_process_mark()}{next(_marks)}"


def version_of(mark: str, marks: str) -> int:
    """Return the version that a marked write gave its job; 0 if the job's marks do not name it."""
    _before, found, after = marks.partition(f"{mark}:")
    return int(after.split(" ", 1)[0]) if found else 0


_marks = count()


@per_process
def _process_mark() -> str:
    return secrets.token_hex(8)


def _run_all(calls: Sequence[Call]) -> list[Any]:
    """Run scripts in one round trip; raise the first error that Redis returned for one."""
    with store_errors():
        answers = run_all(calls)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
    return answers


def _outcome(new: Record, change: Change, mark: str, answer: Sequence[Any]) -> Outcome:
    result, value, *rest = answer
    if int(result) == HELD:
        return Outcome(False, None, holder=value)
    if int(result) == WRITTEN:
        version = int(value)
        return Outcome(True, _written(new, change, version), 0, version)
    stored = dict(zip(rest[0][::2], rest[0][1::2], strict=True))
    marks = stored.get("marks", "")
    version = version_of(mark, marks) if mark else 0
    return Outcome(version > 0, _record(new.id, stored), int(value), version, marks)


def _written(new: Record, change: Change, version: int) -> Record:
    """Return the record as the script has stored it under this version."""
    values: dict[str, Any] = {"version": version}
    if change.stamp:
        values[change.stamp] = version
    if change.deadline is not None:
        values["deadline"] = version + int(change.deadline * 1_000_000) if change.deadline else 0
    return new.replace(**values)


def _record(job_id: str, stored: Any) -> Record | None:
    if is_wrong_type(stored):
        return from_hash(job_id, {})  # one damaged job must not hide the others
    if isinstance(stored, Exception):
        raise stored
    return from_hash(job_id, stored) if stored else None


def _withdraw(record: Record, mark: str) -> None:
    withdraw = partial(run, withdraw_call(record, mark))
    try:
        withdraw()
    except StoreUnavailable:
        withdrawals().add(withdraw)
