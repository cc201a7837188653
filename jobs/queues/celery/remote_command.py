"""A remote control command: a worker tells `jobs_doctor` which Redis it uses."""

from contextlib import suppress
from typing import Any

from celery.worker.control import inspect_command

from jobs.exceptions import StoreUnavailable
from jobs.store import server

STORE = "jobs_store"


@inspect_command(name=STORE)  # type: ignore[untyped-decorator]
def answer_store(state: Any) -> str:
    """Return which Redis holds this worker's jobs; "" if it does not answer."""
    with suppress(StoreUnavailable):
        return server.identity()
    return ""
