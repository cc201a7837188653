"""What a Celery message says of its job: enough for a worker to write the record anew when Redis has lost it."""

from __future__ import annotations

from collections.abc import Mapping
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
