"""Walk the path of a job on the running system, from the settings to an open socket.

A step is a function that returns what it found, or raises `StepFailed` with what to do.
No step waits longer than a few seconds, and none leaves anything behind.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from . import application, archive, channel_layer, project, public_address, store, workers
from .step import StepFailed

STEPS: dict[str, Callable[[], str]] = {
    "settings": project.check_settings,
    "store": store.try_store,
    "archive": archive.try_archive,
    "broker": workers.try_broker,
    "tasks": project.list_tasks,
    "worker": workers.try_workers,
    "layer": channel_layer.try_channel_layer,
}
STEPS_INSIDE: dict[str, Callable[[], str]] = {
    "route": application.find_route,
    "static": application.find_static,
}
STEPS_WITH_URL: dict[str, Callable[[str], str]] = {
    "socket": public_address.try_socket,
    "origin": public_address.try_origin,
    "static": public_address.fetch_static,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a step found."""

    step: str
    text: str
    is_ok: bool = True


def take_steps(url: str = "") -> Iterator[Finding]:
    """Take all steps in order, also after one has failed; with a URL, the last ones over it."""
    last = {name: partial(step, url) for name, step in STEPS_WITH_URL.items()}
    for name, step in (STEPS | (last if url else STEPS_INSIDE)).items():
        try:
            yield Finding(name, step())
        except StepFailed as failure:
            yield Finding(name, str(failure), is_ok=False)
        except Exception as error:
            yield Finding(name, f"{type(error).__name__}: {error}", is_ok=False)
