"""What a subscription needs from the page that it belongs to, whatever connects the two.

The WebSocket consumer is one listener. Another transport, such as Server-Sent Events, is a second
class beside it.
"""

from typing import Any, Protocol

from jobs.access import Viewer
from jobs.job import Job
from jobs.push.watchers import Watcher

from .sent_versions import SentVersions


class Listener(Protocol):
    """One open page. It may hold several subscriptions, each named by its key."""

    @property
    def sent(self) -> SentVersions:
        """Which version of each job this page has been sent."""

    async def viewer(self, since: float = 0.0) -> Viewer:
        """Return who opened the page, with rights read after `since` (monotonic clock)."""

    async def say(self, event: str, **fields: Any) -> None:
        """Send a frame of the protocol that does not carry a job."""

    async def show(self, job: Job, key: str, resend: bool = False) -> None:
        """Send the stored state of a job, unless the page has it; with `resend` even then."""

    async def push(
        self, job_id: str, version: int, frame: str, key: str, resend: bool = False
    ) -> None:
        """Send an encoded frame, unless the page has this version of the job or a newer one."""

    async def drop(self, key: str, subscription: Watcher) -> None:
        """End a subscription, because the viewer lost the right to it or the job is gone."""

    async def close(self, code: int) -> None:
        """Close the page's connection with one of `close_codes`."""
