"""Keeps what a process makes once: its settings, its Redis client, its background threads.

Decorate the function that makes the value. All threads get the same value. A forked child makes
its own, because threads, locks and sockets must not be shared over a fork. A test that overrides a
setting named in `reset_on` gets a new value as well.
"""

import os
import threading
from collections.abc import Callable, Collection
from functools import cache, wraps
from typing import Any, NamedTuple, ParamSpec, TypeVar, overload

from django.core.signals import setting_changed

P = ParamSpec("P")
T = TypeVar("T")


class _Kept(NamedTuple):
    forget: Callable[[], None]
    settings: Collection[str]


class _Process:
    """The values that this process keeps, and the lock under which they are made."""

    def __init__(self) -> None:
        self.kept: list[_Kept] = []
        self.lock = threading.RLock()  # making one value may need another

    def forget(self, setting: str | None = None) -> None:
        with self.lock:
            for kept in self.kept:
                if setting is None or setting in kept.settings:
                    kept.forget()

    def start_in_child(self) -> None:
        self.lock = threading.RLock()  # a thread of the parent may have held the old one
        self.forget()


_process = _Process()


@overload
def per_process(make: Callable[P, T], /) -> Callable[P, T]: ...
@overload
def per_process(
    *, reset_on: str | Collection[str]
) -> Callable[[Callable[P, T]], Callable[P, T]]: ...
def per_process(make: Any = None, /, *, reset_on: str | Collection[str] = ()) -> Any:
    """Let each process call this function once for the same arguments, and keep the result.

    An exception is not kept: the next call tries again. Do no I/O in the function, because other
    threads wait for the lock. A call after the first costs as much as one of `functools.cache`.
    """
    if make is None:
        return lambda function: _keep(function, reset_on)
    return _keep(make, reset_on)


def forget_all() -> None:
    """Forget every kept value, as in a process that has just started."""
    _process.forget()


def _keep(make: Callable[..., T], reset_on: str | Collection[str]) -> Callable[..., T]:
    make_once = cache(make)

    @cache  # a hit ends here, without the lock
    @wraps(make)
    def kept(*args: Any) -> T:
        with _process.lock:
            return make_once(*args)

    def forget() -> None:
        make_once.cache_clear()
        kept.cache_clear()

    settings = (reset_on,) if isinstance(reset_on, str) else reset_on
    _process.kept.append(_Kept(forget, settings))
    return kept


def _on_setting_changed(*, setting: str, **_: Any) -> None:
    _process.forget(setting)


os.register_at_fork(after_in_child=_process.start_in_child)
setting_changed.connect(_on_setting_changed, dispatch_uid="jobs.per_process")
