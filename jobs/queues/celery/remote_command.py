"""A remote control command of our own: what a worker tells `jobs_doctor` about its Redis."""

from contextlib import suppress
from typing import Any

from celery.worker.control import inspect_command

from jobs.exceptions import StoreUnavailable
from jobs.store import server

STORE = "jobs_store"


@inspect_command(name=STORE)  # type: ignore[untyped-decorator]
def answer_store(state: Any) -> str:
    """Return which Redis holds the jobs for this worker, or "" while none answers."""
    with suppress(StoreUnavailable):
        return server.identity()
    return ""
