"""The key that lets a job start once: while a job holds it, a second start gets that job.

A key is a digest, so its length is bounded. Redis keeps it as a string with the job's id.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from hashlib import sha256
from typing import Any

from jobs.exceptions import UnserializableData

from .arguments import call_of, tagged

# The scope of a key: each owner has a job of their own, or all owners share one.
OWNER, EVERYONE = "owner", "everyone"


def key_of_call(
    task_name: str,
    function: Callable[..., Any],
    names: Collection[str],
    args: Collection[Any],
    kwargs: Mapping[str, Any],
) -> str:
    """Return the key of a call: the task's name, and the arguments with these names.

    Raises `UnserializableData` for an argument that has no text.
    """
    call = call_of(function, args, kwargs)
    return _text(
        ["task", task_name, {name: _argument(name, call[name]) for name in names if name in call}]
    )


def key_given(text: object) -> str:
    """Return the key that a caller has chosen. Raises `ValueError` for what is no text, and ""."""
    if not isinstance(text, str) or not text:
        raise ValueError(
            f"unique is {text!r}; give a text such as 'export:2026', or None for no key."
        )
    return _text(["key", text])


def digest_of(key: str, owner: str, scope: str) -> str:
    """Return the digest of a key for its scope."""
    return sha256(_text([key, *([] if scope == EVERYONE else [owner])]).encode()).hexdigest()


def require_scope(scope: object) -> None:
    """Raise `ValueError` for an unknown scope."""
    if scope not in (OWNER, EVERYONE):
        raise ValueError(f"unique_scope is {scope!r}; give {OWNER!r} or {EVERYONE!r}.")


def _argument(name: str, value: Any) -> Any:
    try:
        return tagged(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise UnserializableData(
            f"unique_on names {name!r}, whose value cannot be part of a key: {error} "
            "Give str, numbers, bool, None, dates, UUIDs, lists or dicts."
        ) from error


def _text(value: Iterable[Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
