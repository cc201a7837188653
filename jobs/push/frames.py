"""The frame that a browser gets: `{"event": …, "job": …}`, with what the handler says of the job."""

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.utils import translation

from jobs.core.clock import iso
from jobs.core.snapshot import JobSnapshot
from jobs.core.text import cut
from jobs.exceptions import HandlerNotFound
from jobs.handlers import JobHandler, find_handler
from jobs.logs import get_logger
from jobs.states import JobState

logger = get_logger(__name__)

# Of the job object, whatever a handler adds to it.
_KEYS = {
    "version",
    "created_at",
    "started_at",
    "ended_at",
    "id",
    "state",
    "header",
    "message",
    "progress",
}
_KEYS |= {"eta_seconds", "attempt", "max_attempts", "retry_at", "error", "url"}

_encoder = DjangoJSONEncoder(separators=(",", ":"), allow_nan=False)


def encode(value: Mapping[str, Any]) -> str:
    """Return JSON text, in ASCII."""
    return _encoder.encode(value)


def frame(event: str, job: JobSnapshot) -> str:
    """Return `{"event": …, "job": …}` as JSON text, in ASCII."""
    return f'{{"event":"{event}","job":{_job_text(job)}}}'


def job_object(job: JobSnapshot) -> dict[str, Any]:
    """Return what browsers see of a job, in the language that was active when it was created."""
    found: dict[str, Any] = json.loads(_job_text(job))
    return found


def _job_text(job: JobSnapshot) -> str:
    """Put the job object together, first what the store may still have to fill in.

    By hand, for a worker says this with each push, and it is quicker than a dict and an encoder.
    """
    record, progress, kind = job.record, job.progress, _kind(job)
    current, total, percent, note = progress
    eta = job.eta_seconds if total else None
    retry_at = record.retry_at if record.state is JobState.RETRYING else 0
    return (
        f'{{"version":{record.version},"created_at":{_time(record.created_at)},'
        f'"started_at":{_time(record.started_at)},"ended_at":{_time(record.ended_at)},'
        f'"id":{_quoted(record.id)},"state":"{record.state}",'
        f'"header":{_said(job, kind, "header")},"message":{_said(job, kind, "message")},'
        f'"progress":{{"current":{current},"total":{"null" if total is None else total},'
        f'"percent":{"null" if percent is None else percent},"message":{_quoted(cut(note, "note"))}}},'
        f'"eta_seconds":{"null" if eta is None else eta},'
        f'"attempt":{record.attempt},"max_attempts":{record.max_attempts or "null"},"retry_at":{_time(retry_at)},'
        f'"error":{_quoted(cut(record.error, "error"))},"url":{_quoted(record.path)}{_public_data(job, kind)}}}'
    )


@lru_cache(maxsize=1000)
def _time(microseconds: int) -> str:
    time = iso(microseconds)
    return f'"{time}"' if time else "null"


def _speaking(language: str) -> AbstractContextManager[None]:
    """Have lazy texts speak a language (none: as they were written), as they mostly do already."""
    return (
        nullcontext()
        if language and language == translation.get_language()
        else translation.override(language or None)
    )


def _kind(job: JobSnapshot) -> type[JobHandler] | None:
    try:
        return find_handler(job.record.handler_class)
    except HandlerNotFound:
        logger.exception("job %s: what its handler says is left out", job.id)
        return None


_TEXT = str, type(translation.gettext_lazy(""))  # what can stand in a handler's class
_standing: dict[
    tuple[type[JobHandler], str, str], tuple[Any, str]
] = {}  # of each class, name and language


def _said(job: JobSnapshot, kind: type[JobHandler] | None, name: str) -> str:
    """Return a text of the handler's, encoded; one that stands in its class is looked up once for all jobs."""
    if kind is None:
        return '""'
    value, key = getattr(kind, name), (kind, name, job.record.language)
    known = _standing.get(key)
    if known is not None and known[0] is value:
        return known[1]
    text = _quoted(_text(job, kind, name))
    if isinstance(value, _TEXT) and kind.__init__ is JobHandler.__init__:
        _standing[key] = value, text
    return text


def _text(job: JobSnapshot, kind: type[JobHandler], name: str) -> str:
    try:
        with _speaking(job.record.language):
            value = getattr(kind(job), name)
            return cut(value() if callable(value) else value, name)
    except Exception:
        logger.exception("job %s: %s.%s failed", job.id, job.handler_class, name)
        return ""


def _public_data(job: JobSnapshot, kind: type[JobHandler] | None) -> str:
    """Return what the handler adds to the job object, each with a comma before it; it cannot replace what is there."""
    if kind is None or kind.public_data is JobHandler.public_data:  # as most are
        return ""
    try:
        with _speaking(job.record.language):
            text = _encoder.encode(dict(kind(job).public_data()))
    except Exception:
        logger.exception("job %s: %s.public_data failed", job.id, job.handler_class)
        return ""
    plain: dict[str, Any] = json.loads(text)  # its keys are strings now
    return "".join(
        f",{_quoted(name)}:{_encoder.encode(value)}"
        for name, value in plain.items()
        if name not in _KEYS
    )
