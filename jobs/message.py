"""What a Celery message says of its job: enough for a worker to write the record anew when Redis has lost it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .data import encode
from .record import Record, data_field, from_hash, to_hash

if TYPE_CHECKING:
    from .job import Job


def header_of(job: Job, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a message says of its job; the data that stands in the task's kwargs travels once."""
    same = [key for key in job.data if key in kwargs and job.data[key] == kwargs[key]]
    fields = set(map(data_field, same))
    record = {name: text for name, text in to_hash(job.record).items() if name not in fields}
    return {"kwargs": same, "record": record}


def record_in(job_id: str, header: Mapping[str, Any], kwargs: Mapping[str, Any]) -> Record:
    """Return the record that a message's header describes."""
    data = {data_field(key): encode(key, kwargs[key]) for key in header["kwargs"]}
    return from_hash(job_id, {**header["record"], **data})


def delay_of(celery_options: Mapping[str, Any]) -> float:
    """Return the seconds until a task is due, by its `countdown` or `eta`."""
    if (eta := celery_options.get("eta")) is not None:
        now = datetime.now(UTC) if eta.tzinfo else datetime.now(UTC).replace(tzinfo=None)
        return float(max(0.0, (eta - now).total_seconds()))
    return float(celery_options.get("countdown") or 0)
