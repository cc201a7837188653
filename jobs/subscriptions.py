"""What one socket listens to: join first, then read, then tell, so an end at any moment is heard the same way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import events
from .access import Viewer
from .exceptions import JobNotFound
from .hub import hub
from .job import Job
from .repository import is_id
from .store import async_reader

if TYPE_CHECKING:
    from .consumers import JobConsumer

FIRST_JOBS = 100  # newest jobs that a subscription to many starts with
HELD = 100  # pushes kept while the first reading is under way; it tells the state anyway


class Subscription:
    """One subscription of one socket, named by what the client asked for: a job, its own jobs, or a tag."""

    def __init__(self, socket: JobConsumer, target: dict[str, Any], topics: Sequence[str]) -> None:
        self.target = target
        self._socket = socket
        self._topics = topics
        self._held: list[tuple[str, int, str]] | None = []  # None once the client may hear

    async def open(self, viewer: Viewer) -> None:
        """Join, make sure that the viewer may listen, say `subscribed`, and send the present state."""
        for topic in self._topics:
            await hub().watch(topic, self)
        try:
            jobs = await self.read(viewer)
        except Exception:
            await self.close()
            raise
        await self._socket.say("subscribed", **self.target)
        for job in jobs:
            await self._socket.show(job, again=True)
        held, self._held = self._held or [], None
        for push in held:
            await self._socket.push(*push)

    async def close(self) -> None:
        """Leave; may be called twice."""
        for topic in self._topics:
            await hub().unwatch(topic, self)

    async def deliver(self, job_id: str, version: int, frame: str) -> None:
        """Take a push from the hub."""
        if self._held is None:
            await self._socket.push(job_id, version, frame)
        elif len(self._held) < HELD:
            self._held.append((job_id, version, frame))

    async def look_again(self) -> None:
        """Send what has changed without our hearing of it."""
        if self._held is None:
            for job in await self.read(await self._socket.viewer()):
                await self._socket.show(job)

    async def read(self, viewer: Viewer) -> list[Job]:
        """Return the jobs to tell about; raises `JobNotFound` if the viewer may not listen."""
        raise NotImplementedError


class JobSubscription(Subscription):
    """Listens to one job."""

    def __init__(self, socket: JobConsumer, job_id: str) -> None:
        super().__init__(socket, {"job": job_id}, [events.job_topic(job_id)])
        self._job_id = job_id

    async def read(self, viewer: Viewer) -> list[Job]:
        """Return the job."""
        return [await viewer.afind(self._job_id)]


class ManySubscription(Subscription):
    """Listens to all jobs of some topics; starts with those that are alive or that nobody has seen yet."""

    async def read(self, viewer: Viewer) -> list[Job]:
        """Return the jobs, oldest first."""
        found: dict[str, Job] = {}
        for topic in self._topics:
            ids = await async_reader().indexed(topic, FIRST_JOBS)
            for outcome in await async_reader().read_all(ids):
                if outcome.record is not None:
                    job = Job(outcome.record, outcome.now)
                    if viewer.may_see(job) and not job.record.claimed_at:
                        found[job.id] = job
        return sorted(found.values(), key=lambda job: job.record.created_at)


def subscription_for(socket: JobConsumer, target: dict[str, Any], viewer: Viewer) -> Subscription:
    """Return what a client may listen to; raises `JobNotFound` for what it may not, or that is not there."""
    match target:
        case {"job": str() as job_id} if is_id(job_id):
            return JobSubscription(socket, job_id)
        case {"mine": True} if viewer.owners:
            return ManySubscription(socket, target, [events.owner_topic(owner) for owner in viewer.owners])
        case {"tag": str() as tag} if viewer.is_staff:
            return ManySubscription(socket, target, [events.tag_topic(tag)])
    raise JobNotFound("There is nothing of this name that you may listen to.")
