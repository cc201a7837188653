"""Keeps secret arguments out of Celery's own logs and events."""

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from celery.utils.saferepr import saferepr

HIDDEN = "***"  # in place of a secret argument


def redacted(
    function: Callable[..., Any],
    secrets: Collection[str],
    args: Iterable[Any],
    kwargs: Mapping[str, Any],
) -> dict[str, str]:
    """Return Celery's options for what it may show of the arguments."""
    names = [*inspect.signature(function).parameters]
    hidden = {place for place, name in enumerate(names) if name in secrets}
    shown_args = tuple(HIDDEN if place in hidden else arg for place, arg in enumerate(args))
    shown_kwargs = {name: HIDDEN if name in secrets else arg for name, arg in kwargs.items()}
    return {"argsrepr": saferepr(shown_args), "kwargsrepr": saferepr(shown_kwargs)}
