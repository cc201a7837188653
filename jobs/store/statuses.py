"""Reads only the state and the deadline of jobs, which is far cheaper than whole records."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from jobs.states import ALIVE

from .client import client, store_errors
from .keys import job_key


class Status(NamedTuple):
    """The state of a job; the defaults stand for a job that Redis does not have."""

    is_alive: bool = False
    is_overdue: bool = False
    state: str = ""


def statuses(job_ids: Sequence[str]) -> list[Status]:
    """Return the status of many jobs in one round trip. Raises `StoreUnavailable`."""
    pipeline = client().pipeline(transaction=False)
    pipeline.time()
    for job_id in job_ids:
        pipeline.hmget(job_key(job_id), "state", "deadline")
    with store_errors():
        time, *answers = pipeline.execute(raise_on_error=False)
        if isinstance(time, Exception):
            raise time
    now = time[0] * 1_000_000 + time[1]
    return [_status(answer, now) for answer in answers]


def _status(answer: Any, now: int) -> Status:
    if isinstance(answer, Exception) or not answer[0]:
        return Status()
    stored, deadline = answer
    state = stored.strip('"')  # it is JSON, and the name of a state needs no escapes
    is_overdue = deadline is not None and deadline.isdecimal() and 0 < int(deadline) <= now
    return Status(state in ALIVE, is_overdue, state)
