"""What the waiting page shows, and what happens when the job is ready: the class that a project subclasses.

A handler is named by its dotted path and looked up in a registry that subclassing fills. A path that came from Redis
or from a client is only ever a key of that registry; it is never imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from .core.app_label import url_of
from .core.snapshot import JobSnapshot
from .exceptions import HandlerNotFound

Text = str | Promise

_registry: dict[str, type[JobHandler]] = {}


class JobHandler:
    """Describe one kind of job to the person who waits for it.

    `header`, `message` and `public_data` may be computed in the worker or the server, for each frame: they read only
    `self.job`. The other methods run in the owner's own request. `on_ready` and `on_failed` run in a database
    transaction, at most one of them, and to the end exactly once: an exception rolls back and it may be tried again.
    """

    header: ClassVar[Any] = _("Please wait")
    message: ClassVar[Any] = ""
    redirect_hidden: ClassVar[bool] = (
        False  # whether a page in a hidden tab goes on before it is looked at
    )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _registry[path_of(cls)] = cls

    def __init__(self, job: JobSnapshot) -> None:
        self.job = job

    def next_url(self, request: HttpRequest) -> str:
        """Return where the owner goes when the job is complete; by default the list of their jobs."""
        return url_of("list")

    def failed_url(self, request: HttpRequest) -> str:
        """Return where the owner goes after any other end; by default the list of their jobs."""
        return url_of("list")

    def retry_url(self, request: HttpRequest) -> str:
        """Return the page on which the owner can start it once more, if there is one.

        Offered beside *Continue* when the job has ended badly; a link, so it starts nothing by itself.
        """
        return ""

    def on_ready(self, request: HttpRequest) -> None:
        """Do what is to be done once, in the owner's own request, when the job is complete."""

    def on_failed(self, request: HttpRequest) -> None:
        """Do the same when the job has failed, was cancelled, expired or was lost."""

    def rerun(self, request: HttpRequest) -> JobSnapshot:
        """Start the work of a job that has ended again, for its owner, and return the new job; staff asks for it.

        A handler without this method of its own offers no such thing. Most need one line: `return
        start_again(the_task, self.job)`, of `jobs.rerun`. A `JobError` says to the one who asks why it cannot be.
        """
        raise NotImplementedError

    def public_data(self) -> Mapping[str, Any]:
        """Return what pages may see of the job besides its state, as JSON values."""
        return {}


def path_of(handler_class: type[JobHandler] | str) -> str:
    """Return the dotted path of a handler's class, nested classes included; a text of what is neither."""
    if isinstance(handler_class, type):
        return f"{handler_class.__module__}.{handler_class.__qualname__}"
    return str(handler_class)


def find_handler(handler_class: type[JobHandler] | str) -> type[JobHandler]:
    """Look a handler up by class or dotted path; raises `HandlerNotFound`."""
    path = handler_class if isinstance(handler_class, str) else path_of(handler_class)
    try:
        return _registry[path]
    except KeyError:
        raise HandlerNotFound(
            f"No JobHandler {path!r} has been loaded. Subclass jobs.handlers.JobHandler in the `handlers.py` of an "
            f"installed app, or import its module at start-up. Loaded: {', '.join(sorted(_registry)) or 'none'}."
        ) from None


def handler_paths() -> list[str]:
    """Return the dotted paths of all handlers that have been loaded."""
    return sorted(_registry)


_registry[path_of(JobHandler)] = JobHandler
