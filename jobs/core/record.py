"""The stored form of a job: a flat hash of JSON values, the same in Redis and in the archive.

Reading forgives: a damaged hash becomes a failed job and a log line, never an exception.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import compress
from operator import ne
from typing import Any, NamedTuple

from django.utils.translation import gettext_lazy as _

from jobs.logs import get_logger
from jobs.states import JobState

logger = get_logger(__name__)

RARE = ("unique", "alias_of")  # fields that are stored only if they are set
PART = "part."  # prefix of the hash's fields that count the parts of a canvas
DATA = "data."  # prefix of the hash's fields that hold the user's data, each by itself
REQUIRED = ("state", "version", "handler_class")  # fields without which a record is damaged
LONGEST_PATH = 1000  # characters of a waiting page's address
MAX_VERSION = 9 * 10**15  # microseconds since 1970; above it JavaScript and Lua would round

BROKEN = _("The record of this job is damaged.")


class Record(NamedTuple):
    """One job as it is stored.

    Times and versions are microseconds of Redis's clock; 0 means none.
    """

    id: str
    state: JobState = JobState.PENDING
    version: int = 0
    handler_class: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    language: str = ""
    path: str = ""
    attempt: int = 0
    runner: str = ""  # the worker's process that has this attempt
    max_attempts: int = 0  # 0: not known
    current: float = 0
    total: float | None = None
    note: str = ""
    error: str = ""
    cancel_asked: bool = False
    created_at: int = 0
    started_at: int = 0
    ended_at: int = 0
    retry_at: int = 0
    deadline: int = 0
    leased_until: int = 0  # somebody is claiming the job
    leased_by: str = ""  # the token of that claim
    claimed_at: int = 0
    claimed_url: str = ""
    unique: str = ""  # the digest of the key that the job holds while it is alive
    alias_of: str = ""  # the id of the job that stands in for this one, which was never started
    kinds: tuple[str, ...] = ()  # of arguments that data holds as text: "uuid:order_id"
    data: Mapping[str, str] = {}
    parts: frozenset[str] = (
        frozenset()
    )  # the task ids of those parts of a canvas that have ended well

    def replace(self, **values: Any) -> "Record":
        """Return a copy with other values.

        Faster than `_replace`, because each change of a job makes two copies.
        """
        copy: list[Any] = list(self)
        for name, value in values.items():
            copy[_PLACES[name]] = value
        return tuple.__new__(Record, copy)


_PLACES = {name: place for place, name in enumerate(Record._fields)}


def to_hash(record: Record) -> dict[str, str]:
    """Return the strings to store: every field, but the rare ones only if they are set."""
    stored = {name: dump(getattr(record, name)) for name, (dump, _load) in _CODECS.items()}
    for name in RARE:
        if not getattr(record, name):
            del stored[name]
    stored |= {PART + task_id: "1" for task_id in record.parts}
    return stored | {data_field(key): text for key, text in record.data.items()}


def changed_fields(old: Record, new: Record) -> tuple[dict[str, str], list[str]]:
    """Return the fields to write, and those to delete, that turn one record into another."""
    names = compress(Record._fields, map(ne, old, new))
    written = {name: _CODECS[name][0](getattr(new, name)) for name in names if name in _CODECS}
    deleted: list[str] = []
    if new.parts is not old.parts:
        written |= {PART + task_id: "1" for task_id in new.parts - old.parts}
        deleted += [PART + task_id for task_id in old.parts - new.parts]
    if new.data is not old.data:
        written |= {
            data_field(key): text for key, text in new.data.items() if old.data.get(key) != text
        }
        deleted += [data_field(key) for key in old.data.keys() - new.data.keys()]
    return written, deleted


def from_hash(job_id: str, stored: Mapping[str, str]) -> Record:
    """Read a stored hash.

    A damaged field makes it a failed job. Its owner still sees it if the owner's name is legible.
    """
    parts = frozenset(name.removeprefix(PART) for name in stored if name.startswith(PART))
    values: dict[str, Any] = {"data": dict(_data_of(stored)), "parts": parts}
    broken = [name for name in REQUIRED if name not in stored]
    for name, (_dump, load) in _CODECS.items():
        if name in stored:
            try:
                values[name] = load(stored[name])
            except (ValueError, TypeError, RecursionError):
                broken.append(name)
    if broken:
        logger.error("job %s: damaged record, unreadable: %s", job_id, ", ".join(sorted(broken)))
        values |= {"state": JobState.FAILED, "error": str(BROKEN)}
    return Record(**values | {"id": job_id})


def runner_name(hostname: str | None, pid: int | None) -> str:
    """Name the worker process that has an attempt. Parent and child make the same name."""
    return f"{hostname}/{pid}"


def host_of(runner: str) -> str:
    """Return the name of a runner's worker, or "" if no process has the job."""
    return runner.rpartition("/")[0]


def data_field(key: str) -> str:
    """Name the field of one key of the data. It is escaped, so any string can be a key."""
    return DATA + json.dumps(key)[1:-1]


def _data_of(stored: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, text in stored.items():
        if name.startswith(DATA):
            try:
                json.loads(text)
                yield json.loads(f'"{name.removeprefix(DATA)}"'), text
            except (ValueError, RecursionError):
                logger.warning("damaged record: %r is not JSON, left out", name)


def _version(text: str) -> int:
    number = int(text)
    if not 0 <= number <= MAX_VERSION:
        raise ValueError(text)
    return number


def _number(text: str) -> float:
    value = json.loads(text)
    if not isinstance(value, int | float) or not 0 <= value < MAX_VERSION:
        raise ValueError(text)
    return value + 0  # `true` is one too


def _strings(text: str) -> tuple[str, ...]:
    values = json.loads(text)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(text)
    return tuple(values)


def local_path(text: str) -> str:
    """Return the path if it is one of this host, else "". Browsers are sent there."""
    is_local = text.startswith("/") and not text.startswith(("//", "/\\"))
    return text if is_local and text.isprintable() and len(text) <= LONGEST_PATH else ""


def text_of(stored: str) -> str:
    """Read a stored text. One written by hand may lack its quotes. Raises `ValueError`."""
    value = json.loads(stored) if stored.startswith('"') else stored
    if not isinstance(value, str):
        raise ValueError(stored)
    return value


def _is_true(text: str) -> bool:
    return text == "true"


_Codec = tuple[Callable[[Any], str], Callable[[str], Any]]
_TEXT: _Codec = (json.dumps, text_of)
_CODECS: dict[str, _Codec] = (
    dict.fromkeys((name for name in Record._fields if name not in ("id", "data", "parts")), _TEXT)
    | {
        "state": ('"{}"'.format, lambda text: JobState(text_of(text))),
        "version": (str, _version),
        "path": (json.dumps, lambda text: local_path(text_of(text))),
        "tags": (lambda tags: json.dumps(list(tags)), _strings),
        "kinds": (lambda kinds: json.dumps(list(kinds)), _strings),
        "attempt": (str, int),
        "max_attempts": (str, int),
        "current": (json.dumps, _number),
        "total": (json.dumps, lambda text: None if text in ("null", "") else _number(text)),
        "cancel_asked": (json.dumps, _is_true),
    }
    | dict.fromkeys(
        (
            "created_at",
            "started_at",
            "ended_at",
            "retry_at",
            "deadline",
            "leased_until",
            "claimed_at",
        ),
        (str, _version),
    )
)
