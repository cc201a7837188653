"""What one socket listens to: join first, then read, then tell, so an end at any moment is heard the same way."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from jobs import signals
from jobs.access import Viewer, ticket
from jobs.conf import jobs_settings
from jobs.core import topics
from jobs.exceptions import JobNotFound, not_found
from jobs.job import Job
from jobs.push import frames
from jobs.push.hub import hub
from jobs.repository import JobRepository, settled
from jobs.runtime.threads import in_archive_thread
from jobs.store.reader import async_reader

from .budget import DEAR

if TYPE_CHECKING:
    from .consumer import JobConsumer

LOGGED_OUT = 4401  # close code; a page that may still listen comes back

FIRST_JOBS = 100  # newest jobs that a subscription to many starts with
HELD = 100  # pushes kept while the first reading is under way; it tells the state anyway


class Subscription:
    """One subscription of one socket, named by what the client asked for: a job, its own jobs, or a tag."""

    __slots__ = (
        "_followed",
        "_held",
        "_missing_since",
        "_owners",
        "_socket",
        "_topics",
        "_viewer",
        "cost",
        "key",
        "target",
    )

    def __init__(self, socket: JobConsumer, target: dict[str, Any], viewer: Viewer) -> None:
        self.target = target
        self.key = frames.encode(target)
        self._socket = socket
        self._viewer = viewer
        self.cost = DEAR  # of the last reading, in jobs; so much if it finds nothing
        self._topics = viewer.topics_for(target)
        self._followed: list[str] = []
        self._owners = viewer.owners  # whose logout ends it
        self._missing_since: float | None = None
        self._held: list[tuple[str, int, str]] | None = []  # None once the client may hear

    @property
    def owner(self) -> str:
        """Return whose budget pays for it; "" for nobody's, such as the bearer's of a ticket."""
        return self._viewer.owners[0] if self._viewer.owners else ""

    async def open(self) -> None:
        """Join, make sure that the viewer may listen, say `subscribed`, and send the present state.

        Raises `JobNotFound` for what is not there or not for this viewer, `StoreUnavailable`; then nothing is open.
        """
        if not self._topics:
            raise not_found(str(self.target))
        try:
            for topic in self._topics:
                await hub().watch(topic, self)
            jobs = self._admit(await self._read())
            if await self._follow(jobs):
                jobs = await self._read()
        except (
            BaseException
        ):  # the server may give up on a socket that has gone while we were reading
            self.cost = DEAR  # for a job that is there as for one that is not
            await self.close()
            raise
        await self._socket.say("subscribed", **self.target)
        for number, job in enumerate(jobs):
            if number:  # the server's other sockets have their turn between two jobs
                await asyncio.sleep(0)
            await self._socket.show(job, self.key, again=True)
        held, self._held = self._held or [], None
        for push in held:
            await self._socket.push(*push, self.key)

    async def close(self) -> None:
        """Leave; may be called twice."""
        for topic in [*self._topics, *self._followed]:
            await hub().unwatch(topic, self)

    async def deliver(self, job_id: str, version: int, frame: str) -> None:
        """Take a push from the hub."""
        if self._held is None:
            if not self._viewer.is_stale:
                await self._socket.push(job_id, version, frame, self.key)
        elif len(self._held) < HELD:
            self._held.append((job_id, version, frame))

    async def look_again(self) -> None:
        """Send what has changed without a push, and renew the rights before they expire."""
        if self._held is not None:
            return
        try:
            jobs = await self._read_patiently()
            if jobs is None:
                return
            if self._viewer.is_ageing:
                await self._readmit(jobs)
            jobs = self._admit(jobs)
        except JobNotFound:
            await self._socket.drop(self)
            return
        for job in jobs:
            if (seen := self._socket.told.version(job.id)) < job.version:
                signals.push_missed.send_robust(Subscription, job=job, seen=seen)
            await self._socket.show(job, self.key)

    async def on_logout(self, owner: str) -> None:
        """Close the socket if it, or the job that it waits for, is the owner's."""
        if owner in self._owners:
            await self._socket.close(LOGGED_OUT)

    def _admit(self, jobs: list[Job]) -> list[Job]:
        """Return the jobs; raise `JobNotFound` if the viewer may not see one of them."""
        return list(map(self._viewer.admit, jobs))

    async def _follow(self, jobs: list[Job]) -> bool:
        """Join the topic of the job that runs in place of the one that was asked for; return whether one does."""
        if "job" not in self.target or jobs[0].id == self.target["job"]:
            return False
        self._followed = [topics.job_topic(jobs[0].id)]
        await hub().watch(self._followed[0], self)
        return True

    async def _read_patiently(self) -> list[Job] | None:
        """Read the jobs; return None while a job is missing that its worker may still write again.

        After Redis was emptied that takes a heartbeat. Raises `JobNotFound` later.
        """
        try:
            jobs = await self._read()
        except JobNotFound:
            now = monotonic()
            self._missing_since = now if self._missing_since is None else self._missing_since
            if now - self._missing_since > 1.5 * jobs_settings().HEARTBEAT:
                raise
            return None
        self._missing_since = None
        return jobs

    async def _readmit(self, jobs: list[Job]) -> None:
        """Take over the rights that user and session have now, and renew the ticket.

        Raises `JobNotFound` if they have none. A ticket alone still opens until it expires.
        """
        viewer = await self._socket.viewer(since=monotonic())
        may_join = set(self._topics) <= set(viewer.topics_for(self.target))
        if may_join and all(map(viewer.may_see, jobs)):
            self._viewer = viewer
            await self._socket.say("ticket", **self.target, ticket=ticket(self._topics[0]))
        elif self._viewer.is_stale or not self._viewer.topic:
            raise not_found(str(self.target))

    async def _read(self) -> list[Job]:
        if "job" in self.target:
            job = await JobRepository().afind(self.target["job"])
            self._viewer = self._viewer.following(self.target["job"], job)
            self.cost = DEAR if job.is_archived else 1
            if job.version < self._socket.told.version(
                job.id
            ):  # Redis was restored from an old backup
                with suppress(TimeoutError):
                    await in_archive_thread(job.stored.trust_archive)
            if job.owner not in self._owners:
                self._owners += (job.owner,)
            return [job]
        return await self._read_topics()

    async def _read_topics(self) -> list[Job]:
        """Return the jobs of the topics that are alive or that nobody has seen yet, oldest first.

        And those that were alive when the page last heard of them: their end, if the push of it got lost, may have
        been claimed elsewhere meanwhile.
        """
        found: dict[str, Job] = {}
        alive = self._socket.told.alive_for(self.key)
        self.cost = 1
        for topic in self._topics:
            indexed = await async_reader().indexed(topic, FIRST_JOBS)
            ids = list(dict.fromkeys([*indexed, *alive]))
            self.cost += len(ids)
            for outcome in await async_reader().read_all(ids):
                if outcome.record is not None and (
                    not outcome.record.claimed_at or outcome.record.id in alive
                ):
                    job = Job(outcome.record, outcome.now)
                    if topic in job.topics and self._viewer.may_see(job):
                        found[job.id] = job
        await asyncio.gather(*(settled(job) for job in found.values() if job.is_overdue))
        return sorted(found.values(), key=lambda job: job.record.created_at)
