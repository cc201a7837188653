"""The wire's words: event names, topics, groups and frames. Nothing else spells them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from json.encoder import encode_basestring_ascii as _quoted
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from django.core.serializers.json import DjangoJSONEncoder
from django.utils import translation

from . import names
from .exceptions import HandlerNotFound
from .handlers import JobHandler, find_handler
from .logs import get_logger
from .states import JobState

if TYPE_CHECKING:
    from .job import Job
    from .stored import FutureJob

logger = get_logger("jobs.events")

CREATED, STARTED, PROGRESS, RETRYING = "created", "started", "progress", "retrying"
READY, FAILED, CANCELLED, EXPIRED, LOST = "ready", "failed", "cancelled", "expired", "lost"

FRAME = "job.frame"  # the type of the message that carries a frame
LOGOUT = "job.logout"  # the type of the message that somebody has logged out

HEADER = "jobs"  # in a Celery message: its task has a job, and what is to be known of it
PART = "jobs_part"  # in a Celery message: its task is a part of the job of this id

OF_STATE: dict[JobState, str] = {
    JobState.PENDING: CREATED,
    JobState.RUNNING: STARTED,
    JobState.RETRYING: RETRYING,
    JobState.COMPLETE: READY,
    JobState.FAILED: FAILED,
    JobState.CANCELLED: CANCELLED,
    JobState.EXPIRED: EXPIRED,
    JobState.LOST: LOST,
}

# Of the job object, whatever a handler adds to it.
_KEYS = {"version", "created_at", "started_at", "ended_at", "id", "state", "header", "message", "progress"}
_KEYS |= {"eta_seconds", "attempt", "max_attempts", "retry_at", "error", "url"}

LONGEST = {"header": 200, "message": 1000, "note": 200, "error": 2000}  # characters; the rest is cut off

# A frame is encoded before its version is known. These stand in for it and for its time, in fields that come first in
# the frame, and the store's script puts the real ones, of the same length, in their place.
VERSION_TO_COME = 10**15
TIME_TO_COME = "0000-00-00T00:00:00.000000+00:00"
_VERSION, _TIME = str(VERSION_TO_COME).encode(), TIME_TO_COME.encode()

Message = dict[str, Any]


class Push(NamedTuple):
    """What to PUBLISH, and on which of Redis's channels."""

    channels: Sequence[str]
    payload: bytes


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encoder = DjangoJSONEncoder(separators=(",", ":"), allow_nan=False)
_ENDS = tuple(f'{{"event":"{event}"' for event in (READY, FAILED, CANCELLED, EXPIRED, LOST))


def job_topic(job_id: str) -> str:
    """Name the topic of one job."""
    return f"job:{job_id}"


def owner_topic(owner: str) -> str:
    """Name the topic of all jobs of one owner."""
    return f"owner:{owner}"


def tag_topic(tag: str) -> str:
    """Name the topic of all jobs that carry a tag."""
    return f"tag:{tag}"


def topics_of(job_id: str, owner: str, tags: tuple[str, ...]) -> list[str]:
    """Return every topic on which a job's events are sent."""
    owners = [owner_topic(owner)] if owner else []
    return [job_topic(job_id), *owners, *map(tag_topic, tags)]


def group_of(topic: str, shards: int) -> str:
    """Name the channel layer's group that carries a topic; many topics of a kind share one.

    A server on whose pages nobody listens to owners or tags is not told of theirs.
    """
    kind = topic.partition(":")[0]
    number = crc32(topic.encode("utf-8", "surrogatepass")) % shards
    return names.group(f"{number}" if kind == "job" else f"{kind}.{number}")


def everybody() -> str:
    """Name the group of every server process."""
    return names.group("all")


def message_of(frame: str, topics: Sequence[str], job_id: str) -> Message:
    """Return the message that travels over the channel layer, the same to every topic's group."""
    return {"type": FRAME, "version": str(VERSION_TO_COME), "frame": frame, "topics": topics, "job": job_id}


def stamp(message: Message, version: int, time: str) -> Message:
    """Put version and time where their place was kept, as the store's script does."""
    frame = message["frame"].replace(str(VERSION_TO_COME), str(version), 1).replace(TIME_TO_COME, time, 1)
    return message | {"version": str(version), "frame": frame}


def pieces(payload: bytes, is_stamped: bool) -> list[bytes]:
    """Cut what is to be published where the version belongs, of message and frame, and, if one does, the time."""
    first, *rest = payload.split(_VERSION, 2)
    return [first, *rest[:-1], *rest[-1].split(_TIME, 1)] if rest and is_stamped else [first, *rest]


def is_end(frame: str) -> bool:
    """Say whether an encoded frame tells of an end, without decoding it."""
    return frame.startswith(_ENDS)


def address(frame: str, keys: Iterable[str]) -> str:
    """Return an encoded frame with the subscriptions of one socket that it is for, each encoded, as JSON text."""
    return f'{frame[:-1]},"for":[{",".join(keys)}]}}'


def encode(value: Mapping[str, Any]) -> str:
    """Return JSON text, in ASCII."""
    return _encoder.encode(value)


def frame(event: str, job: "Job | FutureJob") -> str:
    """Return `{"event": …, "job": …}` as JSON text, in ASCII."""
    return f'{{"event":"{event}","job":{_job_text(job)}}}'


def job_object(job: "Job | FutureJob") -> dict[str, Any]:
    """Return what browsers see of a job, in the language that was active when it was created."""
    found: dict[str, Any] = json.loads(_job_text(job))
    return found


def _job_text(job: "Job | FutureJob") -> str:
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


def iso(microseconds: int) -> str | None:
    """Return a time of the store as ISO 8601 in UTC, always 32 characters long."""
    if microseconds == VERSION_TO_COME:
        return TIME_TO_COME
    return to_datetime(microseconds).isoformat(timespec="microseconds") if microseconds else None


def to_datetime(microseconds: int) -> datetime:
    """Return a time of the store as an aware datetime."""
    return _EPOCH + timedelta(microseconds=microseconds)


def cut(text: object, kind: str) -> str:
    """Bound a text to the documented length of its kind."""
    string, limit = str(text), LONGEST[kind]
    if not string.isascii():
        string = string.encode("utf-8", "replace").decode()
    return string if len(string) <= limit else string[: limit - 1] + "…"


def _kind(job: "Job | FutureJob") -> type[JobHandler] | None:
    try:
        return find_handler(job.record.handler_class)
    except HandlerNotFound:
        logger.exception("job %s: what its handler says is left out", job.id)
        return None


_TEXT = str, type(translation.gettext_lazy(""))  # what can stand in a handler's class
_standing: dict[tuple[type[JobHandler], str, str], tuple[Any, str]] = {}  # of each class, name and language


def _said(job: "Job | FutureJob", kind: type[JobHandler] | None, name: str) -> str:
    """Return a text of the handler's, encoded; one that stands in its class is looked up once for all jobs."""
    if kind is None:
        return '""'
    value, key = getattr(kind, name), (kind, name, job.record.language)
    known = _standing.get(key)
    if known is not None and known[0] is value:
        return known[1]
    text = _quoted(_text(job, name))
    if isinstance(value, _TEXT) and kind.__init__ is JobHandler.__init__:
        _standing[key] = value, text
    return text


def _text(job: "Job | FutureJob", name: str) -> str:
    try:
        with _speaking(job.record.language):
            value = getattr(job.handler, name)
            return cut(value() if callable(value) else value, name)
    except Exception:
        logger.exception("job %s: %s.%s failed", job.id, job.handler_class, name)
        return ""


def _public_data(job: "Job | FutureJob", kind: type[JobHandler] | None) -> str:
    """Return what the handler adds to the job object, each with a comma before it; it cannot replace what is there."""
    if kind is None or kind.public_data is JobHandler.public_data:  # as most are
        return ""
    try:
        with _speaking(job.record.language):
            text = _encoder.encode(dict(job.handler.public_data()))
    except Exception:
        logger.exception("job %s: %s.public_data failed", job.id, job.handler_class)
        return ""
    plain: dict[str, Any] = json.loads(text)  # its keys are strings now
    return "".join(f",{_quoted(name)}:{_encoder.encode(value)}" for name, value in plain.items() if name not in _KEYS)
