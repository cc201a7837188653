"""One subscription of a page.

It joins first, then reads, then sends. So the page hears of an end at any moment.
"""

import asyncio
from time import monotonic
from typing import Any

from jobs import signals
from jobs.access import Viewer, ticket
from jobs.conf import jobs_settings
from jobs.core import topics
from jobs.exceptions import JobNotFound, not_found
from jobs.job import Job
from jobs.push import frames
from jobs.push.hub import hub

from .budget import DATABASE_COST
from .close_codes import LOGGED_OUT
from .listener import Listener
from .reading import read_job, read_listed

HELD_PUSHES = 100  # kept during the first reading, which sends the state anyway
REWRITE_WAIT = 1.5  # heartbeats within which a worker rewrites a job that Redis has lost


class Subscription:
    """A watcher for one target of a page: a job, the viewer's own jobs, or a tag."""

    __slots__ = (
        "_followed",
        "_held",
        "_listener",
        "_missing_since",
        "_owners",
        "_topics",
        "_viewer",
        "cost",
        "key",
        "target",
    )

    def __init__(self, listener: Listener, target: dict[str, Any], viewer: Viewer) -> None:
        self.target = target
        self.key = frames.encode(target)
        self.cost = DATABASE_COST  # of the last reading, in jobs
        self._listener = listener
        self._viewer = viewer
        self._topics = viewer.topics_for(target)
        self._followed: list[str] = []  # the topic of the job that runs in place of the target
        self._owners = viewer.owners  # whose logout ends it
        self._missing_since: float | None = None
        self._held: list[tuple[str, int, str]] | None = []  # None once the first reading is sent

    @property
    def owner(self) -> str:
        """Return the owner whose budget pays; "" for none, such as the bearer of a ticket."""
        return self._viewer.owners[0] if self._viewer.owners else ""

    @property
    def is_list(self) -> bool:
        """Whether it may be of many jobs."""
        return "job" not in self.target

    async def open(self) -> None:
        """Join the topics, check the rights, say `subscribed`, and send the present state.

        Raises `JobNotFound` if there is no such job or the viewer may not see it, and
        `StoreUnavailable`. Then nothing is left open.
        """
        if not self._topics:
            raise not_found(str(self.target))
        try:
            jobs = await self._join_and_read()
        except BaseException:  # also a cancel: the server may give up on a socket that has gone
            self.cost = DATABASE_COST  # the same whether the job exists or not
            await self.close()
            raise
        await self._listener.say("subscribed", **self.target)
        await self._send_all(jobs)

    async def close(self) -> None:
        """Leave all topics. May be called twice."""
        for topic in [*self._topics, *self._followed]:
            await hub().unwatch(topic, self)

    async def deliver(self, job_id: str, version: int, frame: str) -> None:
        """Pass on a push of the hub; hold it back while the first reading is under way."""
        if self._held is None:
            if not self._viewer.is_stale:
                await self._listener.push(job_id, version, frame, self.key)
        elif len(self._held) < HELD_PUSHES:
            self._held.append((job_id, version, frame))

    async def reconcile(self) -> None:
        """Send what changed without a push, and renew the rights before they expire."""
        if self._held is not None:
            return
        try:
            jobs = await self._read_unless_missing()
            if jobs is None:
                return
            if self._viewer.is_ageing:
                await self._renew_rights(jobs)
            jobs = self._admit(jobs)
        except JobNotFound:
            await self._listener.drop(self.key, self)
            return
        for job in jobs:
            if (seen := self._listener.sent.version(job.id)) < job.version:
                signals.push_missed.send_robust(Subscription, job=job, seen=seen)
            await self._listener.show(job, self.key)

    async def on_logout(self, owner: str) -> None:
        """Close the page if it, or the job that it watches, belongs to this owner."""
        if owner in self._owners:
            await self._listener.close(LOGGED_OUT)

    async def _join_and_read(self) -> list[Job]:
        for topic in self._topics:
            await hub().watch(topic, self)
        jobs = self._admit(await self._read())
        if "job" in self.target and jobs[0].id != self.target["job"]:
            await self._follow(jobs[0])
            jobs = await self._read()
        return jobs

    async def _follow(self, job: Job) -> None:
        """Join the topic of the job that runs in place of the target."""
        self._followed = [topics.job_topic(job.id)]
        await hub().watch(self._followed[0], self)

    async def _send_all(self, jobs: list[Job]) -> None:
        """Send the jobs, then what was pushed during the reading. Later pushes pass at once."""
        for number, job in enumerate(jobs):
            if number:
                await asyncio.sleep(0)  # so that the server's other sockets have their turn
            await self._listener.show(job, self.key, resend=True)
        held, self._held = self._held or [], None
        for push in held:
            await self._listener.push(*push, self.key)

    def _admit(self, jobs: list[Job]) -> list[Job]:
        """Return the jobs. Raises `JobNotFound` if the viewer may not see one of them."""
        return list(map(self._viewer.admit, jobs))

    async def _read_unless_missing(self) -> list[Job] | None:
        """Read the jobs; return None while a missing job may still come back.

        After Redis was emptied, the job's worker writes it again with its next heartbeat. Raises
        `JobNotFound` when `REWRITE_WAIT` is over.
        """
        try:
            jobs = await self._read()
        except JobNotFound:
            now = monotonic()
            self._missing_since = now if self._missing_since is None else self._missing_since
            if now - self._missing_since > REWRITE_WAIT * jobs_settings().HEARTBEAT:
                raise
            return None
        self._missing_since = None
        return jobs

    async def _renew_rights(self, jobs: list[Job]) -> None:
        """Take over the present rights of user and session, and send the page a new ticket.

        Raises `JobNotFound` if they have none. The bearer of a ticket may go on until it expires.
        """
        viewer = await self._listener.viewer(since=monotonic())
        may_join = set(self._topics) <= set(viewer.topics_for(self.target))
        if may_join and all(map(viewer.may_see, jobs)):
            self._viewer = viewer
            await self._listener.say("ticket", **self.target, ticket=ticket(self._topics[0]))
        elif self._viewer.is_stale or not self._viewer.topic:
            raise not_found(str(self.target))

    async def _read(self) -> list[Job]:
        if "job" in self.target:
            return [await self._read_job(self.target["job"])]
        alive = self._listener.sent.alive_for(self.key)
        jobs, self.cost = await read_listed(self._topics, alive, self._viewer)
        return jobs

    async def _read_job(self, job_id: str) -> Job:
        job = await read_job(job_id, self._listener.sent)
        self.cost = DATABASE_COST if job.is_archived else 1
        self._viewer = self._viewer.following(job_id, job)
        if job.owner not in self._owners:
            self._owners += (job.owner,)
        return job
