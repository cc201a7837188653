"""The stored form of a job: a flat hash of JSON values, the same in Redis and in the archive.

Reading is forgiving: a hash that somebody has damaged becomes a failed job with a log line, never an exception.
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
    """One job as it is stored. Times and versions are microseconds of Redis's clock, 0 where there is none."""

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
    unique: str = ""  # the digest of the key that the job holds while it is alive; see once.py
    alias_of: str = ""  # the id of the job that stands in for this one, which was never started
    kinds: tuple[str, ...] = ()  # of arguments that data holds as text: "uuid:order_id"
    data: Mapping[str, str] = {}
    parts: frozenset[str] = (
        frozenset()
    )  # the task ids of those parts of a canvas that have ended well

    def replace(self, **values: Any) -> "Record":
        """Return a copy with other values, quicker than the namedtuple's own way: each change of a job takes two."""
        copy: list[Any] = list(self)
        for name, value in values.items():
            copy[_PLACES[name]] = value
        return tuple.__new__(Record, copy)


_PLACES = {name: place for place, name in enumerate(Record._fields)}


def to_hash(record: Record) -> dict[str, str]:
    """Return the record as the strings that are stored: every field, except for the rare ones that are not set."""
    stored = {name: dump(getattr(record, name)) for name, (dump, _load) in _CODECS.items()}
    for name in RARE:
        if not getattr(record, name):
            del stored[name]
    stored |= {PART + task_id: "1" for task_id in record.parts}
    return stored | {data_field(key): text for key, text in record.data.items()}


def changed_fields(old: Record, new: Record) -> tuple[dict[str, str], list[str]]:
    """Return what has to be written and what has to be deleted to turn one stored record into another."""
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
    """Read a stored hash; damaged fields make it a failed job whose owner, if legible, still sees it."""
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
    """Name the worker's process that has an attempt, the same in the parent as in the child."""
    return f"{hostname}/{pid}"


def host_of(runner: str) -> str:
    """Return the name of a runner's worker; of a job that no process has, ""."""
    return runner.rpartition("/")[0]


def data_field(key: str) -> str:
    """Name the hash's field of one key of the data; escaped, so that any string can be a key."""
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
    """Return the path if it is one of this host, else ""; who reads it is sent there."""
    is_local = text.startswith("/") and not text.startswith(("//", "/\\"))
    return text if is_local and text.isprintable() and len(text) <= LONGEST_PATH else ""


def text_of(stored: str) -> str:
    """Read a stored text; one that somebody has planted may lack its quotes. Raises `ValueError`."""
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
