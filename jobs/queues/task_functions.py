"""Refuses tasks that are no plain functions.

A worker would create their coroutine or generator, and never run it.
"""

import inspect
from collections.abc import Callable
from functools import partial, partialmethod
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction

T = TypeVar("T")

ADVICE = (
    "make it a plain function, and call asynchronous code inside with asgiref.sync.async_to_sync"
)


def require_plain(function: Callable[..., Any]) -> None:
    """Raise `TypeError` for an `async def` or a generator function, also inside a `partial`.

    A decorated function is judged by its decorator, because that may run the coroutine. If it does
    not, `finished` notices when the task runs.
    """
    inner: Any = function
    while isinstance(inner, partial | partialmethod):
        inner = inner.func
    kind = _kind_of_function(inner)
    if kind:
        name = getattr(inner, "__qualname__", repr(inner))
        raise TypeError(f"{name} is {kind}, which Celery would not run: {ADVICE}.")


def finished(result: T) -> T:
    """Return a task's result. Raises `TypeError` for a coroutine or generator that never ran."""
    if inspect.iscoroutine(result) or inspect.isgenerator(result):
        result.close()  # or Python warns of a coroutine that was never awaited
    elif not inspect.isasyncgen(result):
        return result
    raise TypeError(
        f"The task has returned a {type(result).__name__}, which has never run: {ADVICE}."
    )


def _kind_of_function(function: Any) -> str:
    if iscoroutinefunction(function) or inspect.iscoroutinefunction(function):
        return "an `async def` function"
    if inspect.isasyncgenfunction(function):
        return "an asynchronous generator function"
    if inspect.isgeneratorfunction(function):
        return "a generator function"
    return ""
