"""Frames out: what a page is sent, and in which form."""

from contextvars import copy_context
from typing import Any

from jobs.core import event_names
from jobs.job import Job
from jobs.push import envelope, frames

from .sent_versions import SentVersions


class FrameWriter:
    """The half of a listener that text transports share; they implement `write`."""

    sent: SentVersions
    is_open = True

    async def write(self, text: str) -> None:
        """Send the text of one frame."""
        raise NotImplementedError

    async def say(self, event: str, **fields: Any) -> None:
        """Send a frame of the protocol that does not carry a job."""
        if self.is_open:
            await self.write(frames.encode({"event": event, **fields}))

    async def show(self, job: Job, key: str, resend: bool = False) -> None:
        """Send the stored state of a job, unless the page has it; with `resend` even then."""
        if self.sent.is_unsent(job.id, job.version, key, resend):
            frame = copy_context().run(_frame_of, job)
            await self.push(job.id, job.version, frame, key, resend)

    async def push(
        self, job_id: str, version: int, frame: str, key: str, resend: bool = False
    ) -> None:
        """Send an encoded frame, unless the page has this version of the job or a newer one.

        The frame names all subscriptions that get this job, so each of them hears it once.
        """
        if self.is_open and self.sent.is_unsent(job_id, version, key, resend):
            keys = self.sent.note(job_id, version, key, is_alive=not envelope.is_end(frame))
            await self.write(envelope.address(frame, keys))


def _frame_of(job: Job) -> str:
    """Encode a job's state. Its own context keeps the handler's language out of the socket's."""
    return frames.frame(event_names.OF_STATE[job.state], job)
