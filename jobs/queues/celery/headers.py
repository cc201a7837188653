"""The header of a Celery message: what it tells the worker about the job, in a few kB.

It saves the worker a read, and brings back a record that Redis has lost. Large data stays in the
store, because brokers limit a header (RabbitMQ closes the connection above 128 kB).
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from jobs.core.data import encode
from jobs.core.record import DATA, REQUIRED, Record, data_field, from_hash, to_hash
from jobs.core.snapshot import JobSnapshot
from jobs.exceptions import UnserializableData
from jobs.queues.arguments import as_data
from jobs.repository import is_id
from jobs.store import records

HEADER = "jobs"  # the header of a job's task; it describes the job
PART = "jobs_part"  # the header of a part of a canvas; it holds the id of the canvas's job

BUDGET = 2048  # bytes of names and values; JSON escapes quotes, so it takes at most twice as many
OVERHEAD = 8  # bytes around a name and its value
BLANK = to_hash(Record(id=""))


def header_of(job: JobSnapshot, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the header for the message of a job's task.

    Data that equals a keyword argument of the task is only named. If the header has no room for
    everything, it says `partial`.
    """
    texts = to_hash(job.record)
    same = {
        data_field(key): key
        for key, text in job.record.data.items()
        if _text_in(kwargs, key) == text
    }
    sizes = {
        name: len(name) + (0 if name in same else len(text)) + OVERHEAD
        for name, text in texts.items()
        if name in REQUIRED or text != BLANK.get(name)
    }
    fitting = set(_fitting(sizes))
    header: dict[str, Any] = {
        "kwargs": [key for name, key in same.items() if name in fitting],
        "record": {name: texts[name] for name in sizes if name in fitting and name not in same},
    }
    return header if len(fitting) == len(sizes) else {**header, "partial": True}


def stored_header(job_id: str, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the header of a stored job's task, or an empty one for an id that no job has.

    Raises `StoreUnavailable`.
    """
    record = records.read(job_id).record if is_id(job_id) else None
    return {} if record is None else header_of(JobSnapshot(record), kwargs)


def record_in(job_id: str, header: Mapping[str, Any], kwargs: Mapping[str, Any]) -> Record:
    """Return the record that a message's header describes; `is_whole` tells if it is complete."""
    texts = {data_field(key): _text_in(kwargs, key) for key in header["kwargs"]}
    data = {name: text for name, text in texts.items() if text is not None}
    return from_hash(job_id, {**header["record"], **data})


def is_whole(header: Mapping[str, Any], kwargs: Mapping[str, Any]) -> bool:
    """Return whether a header describes all of its job.

    It does not if the job was too large, or if a retry dropped an argument that the header names.
    """
    return not header.get("partial") and kwargs.keys() >= set(header["kwargs"])


def delay_of(celery_options: Mapping[str, Any]) -> float:
    """Return the seconds until a task is due, by its `countdown` or `eta`."""
    if (eta := celery_options.get("eta")) is not None:
        now = datetime.now(UTC) if eta.tzinfo else datetime.now(UTC).replace(tzinfo=None)
        return float(max(0.0, (eta - now).total_seconds()))
    return float(celery_options.get("countdown") or 0)


def _fitting(sizes: Mapping[str, int]) -> Iterator[str]:
    """Yield the names that fit into the budget.

    Required fields come first, then the job's other fields, then data; the smallest of each first.
    """
    left = BUDGET
    for name in sorted(
        sizes, key=lambda name: (name not in REQUIRED, name.startswith(DATA), sizes[name])
    ):
        if name in REQUIRED or sizes[name] <= left:
            left -= sizes[name]
            yield name


def _text_in(kwargs: Mapping[str, Any], key: str) -> str | None:
    """Return a keyword argument as the JSON text that data holds; None if it has none."""
    try:
        return encode(key, as_data(kwargs[key]))
    except (KeyError, UnserializableData):
        return None
