"""What a job's data may hold: plain JSON that reads back equal."""

import json
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

from jobs.exceptions import UnserializableData

MAX_DEPTH = 100  # levels; far below the recursion limit of any reader


def encode(key: object, value: object) -> str:
    """Return the JSON text of one value, in ASCII.

    Raises `UnserializableData`, which names the key, unless reading the text back gives an equal
    value. So tuples, NaN, dates, lazy translations and keys that are not strings are refused, not
    changed.
    """
    if not isinstance(key, str):
        raise UnserializableData(
            f"The key {key!r} of a job's data is a {type(key).__name__}; keys are strings."
        )
    try:
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
        read_back = json.loads(text, object_hook=_plain)
        same = read_back == value
    except (TypeError, ValueError, RecursionError) as error:
        raise UnserializableData(
            f"data[{key!r}] is not JSON: {error}. Give str, numbers, bool, None, lists, dicts."
        ) from error
    if not same:
        raise UnserializableData(
            f"data[{key!r}] is a {type(value).__name__} that JSON would change. "
            "Is there a tuple in it, or a key that is no string?"
        )
    if _depth_exceeds(read_back, MAX_DEPTH):
        raise UnserializableData(
            f"data[{key!r}] is nested more than {MAX_DEPTH} levels deep; flatten it."
        )
    return text


def encode_all(values: Mapping[str, object], limit: int) -> dict[str, str]:
    """Encode every value, or raise `UnserializableData` before anything has been written."""
    texts = {key: encode(key, value) for key, value in values.items()}
    check_size(texts, limit)
    return texts


def check_size(texts: Mapping[str, str], limit: int) -> None:
    """Raise `UnserializableData` if the values, as JSON, or the keys exceed `limit` bytes."""
    size = max(sum(map(len, texts.values())), sum(len(json.dumps(key)) - 2 for key in texts))
    if size > limit:
        largest = max(texts, key=lambda key: len(texts[key]))
        raise UnserializableData(
            f"A job's data may take {limit} bytes (JOBS['MAX_DATA']). With data[{largest!r}] it "
            f"takes {size}. Keep large things in the database or a file, and their key here."
        )


class SnapshotData(Mapping[str, Any]):
    """A job's data as it was when the job was read."""

    def __init__(self, texts: Callable[[], Mapping[str, str]]) -> None:
        self._texts = texts

    def __getitem__(self, key: str) -> Any:
        return json.loads(self._texts()[key])

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self._texts()))

    def __len__(self) -> int:
        return len(self._texts())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict(self)!r})"


class JobData(SnapshotData, MutableMapping[str, Any]):
    """A job's data as a mapping. Each assignment is saved at once, key by key.

    While the store is away, the process that runs the job's task keeps the data and saves it as
    soon as it can. Any other process gets `StoreUnavailable`.
    """

    def __init__(
        self, texts: Callable[[], Mapping[str, str]], write: Callable[[str, str | None], None]
    ) -> None:
        super().__init__(texts)
        self._write = write

    def __setitem__(self, key: str, value: object) -> None:
        self._write(key, encode(key, value))

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Save several keys, each by itself.

        Raises `UnserializableData` for a value that is not JSON, before any key is written.
        """
        values: dict[str, Any] = dict(*args, **kwargs)
        for key, text in [(key, encode(key, value)) for key, value in values.items()]:
            self._write(key, text)

    def __delitem__(self, key: str) -> None:
        if key not in self._texts():
            raise KeyError(key)
        self._write(key, None)


def _plain(value: dict[str, object]) -> dict[str, object]:
    """Refuse a dict that kombu's JSON would read as another type on its way to the task."""
    if value.keys() == {"__type__", "__value__"}:
        raise ValueError(
            "a dict of just __type__ and __value__ has a meaning of its own in kombu's JSON"
        )
    return value


def _depth_exceeds(value: object, limit: int) -> bool:
    level: list[object] = [value]
    for _ in range(limit + 1):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return False
    return True


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
