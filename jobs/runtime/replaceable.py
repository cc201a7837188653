"""The seam for `jobs.testing`: a few functions that a test may replace while it runs.

`unittest.mock.patch` is not safe here. If the patches of two threads overlap and end in another
order than they began, one of them stays forever. Here each block adds its own replacement and
removes exactly that one. A replacement holds for the whole process, because a view under test may
run in another thread.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_replacements: dict[Callable[..., Any], list[Callable[..., Any]]] = {}
_lock = threading.Lock()


def replaceable(function: Callable[P, R]) -> Callable[P, R]:
    """Let tests replace a function of a module; a call costs one more frame and a truth test."""
    replacements: list[Callable[P, R]] = []

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if replacements:
            # another thread may have just removed the last one
            newest = next(reversed(replacements), function)
            return newest(*args, **kwargs)
        return function(*args, **kwargs)

    _replacements[call] = replacements
    return call


@contextmanager
def replaced(function: Callable[P, R], by: Callable[P, R]) -> Iterator[None]:
    """Call `by` in place of the function until the block ends; blocks may overlap in any order.

    The newest replacement is called. `inspect.unwrap(function)` is the function itself.
    """

    def replacement(*args: P.args, **kwargs: P.kwargs) -> R:  # an object that no other block has
        return by(*args, **kwargs)

    replacements = _replacements[function]
    with _lock:
        replacements.append(replacement)
    try:
        yield
    finally:
        with _lock:
            replacements.remove(replacement)
