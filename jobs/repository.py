"""Where jobs come from and are found again: in Redis while they live, in the archive ever after."""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any
from uuid import uuid4

from django.urls import NoReverseMatch
from django.utils.translation import get_language

from . import signals
from .archive.writer import find_archived
from .conf import jobs_settings
from .core import topics
from .core.app_label import url_of
from .core.data import encode_all
from .core.record import Record, local_path
from .core.transitions import Change
from .exceptions import JobNotFound, StoreUnavailable, exists, not_found
from .handlers import JobHandler, find_handler, path_of
from .job import Job
from .lifecycle.announce import send_signal
from .lifecycle.stored_record import MAX_TRIES
from .models import JobRecord
from .runtime.threads import in_archive_thread, in_thread
from .states import JobState
from .store import records
from .store.indexes import indexed
from .store.reader import async_reader
from .store.records import Outcome

ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
OWNER = re.compile(r"(user|visitor):.+", re.DOTALL)

HandlerClass = type[JobHandler] | str


class JobRepository:
    """Creates and finds jobs. Stateless: make one wherever you need it."""

    def create(
        self,
        id: str | None = None,  # noqa: A002 - the public name of the contract
        handler_class: HandlerClass = JobHandler,
        owner: Any = None,
        tags: Iterable[str] = (),
        data: Mapping[str, Any] | None = None,
        **more_data: Any,
    ) -> Job:
        """Store a new pending job and tell those who listen; atomic.

        `id` is the Celery task id (a new one by default), `owner` a user or an owner's name (`user:<pk>`,
        `visitor:<token>`), every further keyword is data. Raises `JobExists`, `HandlerNotFound`, `UnserializableData`,
        `StoreUnavailable`, and `ValueError` for an id or tag that is none; then nothing has been written.
        """
        draft = self.draft(id, handler_class, owner, tags, {**(data or {}), **more_data})
        if id is not None and jobs_settings().ARCHIVE and JobRecord.objects.filter(pk=id).exists():
            raise exists(id)
        return self.store_draft(draft)

    def draft(
        self,
        job_id: str | None,
        handler_class: HandlerClass,
        owner: Any,
        tags: Iterable[str],
        data: Mapping[str, Any],
    ) -> Job:
        """Return a job that is checked in every way but not stored yet."""
        job_id = str(uuid4()) if job_id is None else job_id
        if not is_id(job_id):
            raise ValueError(
                f"{job_id!r} cannot be a job's id: 1 to 128 of the characters A-Z a-z 0-9 _ . : -"
            )
        find_handler(handler_class)
        if isinstance(tags, str):
            raise ValueError(f"The tags are the text {tags!r}; give a list of texts.")
        job = Job(
            Record(
                id=job_id,
                handler_class=path_of(handler_class),
                owner=owner_name(owner),
                tags=tuple(map(_tag, tags)),
                language=get_language() or "",
                path=_path(job_id),
                data=encode_all(data, jobs_settings().MAX_DATA),
            )
        )
        job.stored.is_draft = True
        return job

    def store_draft(self, job: Job, start_timeout: float | None = None, delay: float = 0) -> Job:
        """Store a draft that counts as expired when it is not started within the timeout after its delay, in seconds.

        Returns the draft. If another job that is alive holds its unique key, nothing is stored, and that job is
        returned. Raises `JobExists` if its id is taken.
        """
        seconds = jobs_settings().START_TIMEOUT if start_timeout is None else start_timeout
        change = Change(stamp="created_at", deadline=delay + seconds)
        holder = ""
        for _try in range(MAX_TRIES):
            if not (holder := job.stored.create(change, ended=holder)):
                send_signal(signals.job_created, job)
                return job
            if (running := self._alive(holder)) is not None:
                return running
        raise StoreUnavailable(
            f"Job {job.id} was not stored: its unique key passes from one job to the next."
        )

    def holder(self, unique: str) -> Job | None:
        """Return the job that is alive and holds a unique key, by its digest; None if none does."""
        holder = records.holder(unique)
        return self._alive(holder) if holder else None

    def store_alias(self, draft: Job, running: Job) -> None:
        """Let a draft's id lead to the job that runs in its place, for as long as a record is kept.

        The draft is in no list, and its address may have been given to a browser.
        """
        alias = Record(
            id=draft.id,
            state=JobState.CANCELLED,  # for a process of an older version, which knows no aliases
            handler_class=running.record.handler_class,
            owner=running.owner,
            alias_of=running.id,
        )
        records.write(
            None, alias, Change(deadline=max(0, running.record.deadline - running.now) / 1_000_000)
        )

    def find(self, id: str) -> Job:  # noqa: A002
        """Return the job, with its deadline enforced; raises `JobNotFound`, `StoreUnavailable` if nobody knows."""
        if not is_id(id):
            raise not_found(id)
        try:
            outcome = records.read(id)
            if alias_of := _alias_of(outcome):
                id, outcome = alias_of, records.read(alias_of)  # noqa: A001
        except StoreUnavailable:
            return self._archived(id, or_else=_unreadable())
        return self._job(id, outcome)

    def for_owner(self, owner: Any, limit: int = 20) -> list[Job]:
        """Return an owner's newest jobs, alive and ended, newest first; in three round trips however many they are.

        Nobody (None, an anonymous user) has none: a job without an owner is no visitor's business.
        """
        return self.for_owners(filter(None, [owner_name(owner)]), limit)

    def for_owners(self, owners: Iterable[str], limit: int = 20) -> list[Job]:
        """Return the newest jobs of somebody who is several owners (a user, and the visitor they were before)."""
        found: dict[str, Job] = {}
        for owner in owners:
            found |= {job.id: job for job in self.of_topic(topics.owner_topic(owner), limit)}
            archived = [row.to_record() for row in JobRecord.objects.of_owner(owner)[:limit]]
            for record in archived:
                if (
                    record.owner == owner
                ):  # a column is shorter, and MySQL ignores blanks at its end
                    found.setdefault(record.id, Job(record))
        return sorted(found.values(), key=lambda job: job.record.created_at, reverse=True)[:limit]

    def of_topic(self, topic: str, limit: int = 20) -> list[Job]:
        """Return the newest jobs of an owner's or a tag's topic that Redis still holds."""
        found = records.read_all(indexed(topic, limit))
        jobs = [
            Job(outcome.record, outcome.now) for outcome in found if outcome.record is not None
        ]
        jobs = [job for job in jobs if topic in job.topics]
        for job in jobs:
            job.stored.settle()
        return jobs

    async def acreate(self, *args: Any, **kwargs: Any) -> Job:
        """Create a job from asynchronous code; see `create`."""
        return await in_thread(self.create, *args, **kwargs)

    async def afind(self, id: str) -> Job:  # noqa: A002
        """Find a job from asynchronous code, sharing the round trip with whoever asks at the same moment."""
        if not is_id(id):
            raise not_found(id)
        try:
            outcome = await async_reader().read(id)
            if alias_of := _alias_of(outcome):
                id, outcome = alias_of, await async_reader().read(alias_of)  # noqa: A001
        except StoreUnavailable:
            return await self._aarchived(id, _unreadable())
        if outcome.record is None:
            return await self._aarchived(id, not_found(id), outcome.now)
        return await settled(Job(outcome.record, outcome.now))

    def _alive(self, job_id: str) -> Job | None:
        with suppress(JobNotFound):
            job = self.find(job_id)
            return None if job.is_ended else job
        return None

    async def _aarchived(self, job_id: str, or_else: Exception, now: int = 0) -> Job:
        try:
            return await in_archive_thread(self._archived, job_id, or_else, now)
        except TimeoutError as error:
            raise StoreUnavailable("The archive does not answer.") from error

    def _job(self, job_id: str, outcome: Outcome) -> Job:
        if outcome.record is None:
            return self._archived(job_id, not_found(job_id), outcome.now)
        job = Job(outcome.record, outcome.now)
        job.stored.settle()
        job.stored.trust_archive()
        return job

    def _archived(self, job_id: str, or_else: Exception, now: int = 0) -> Job:
        """Return the job of the archive. `now` is Redis's clock, if it has answered without it."""
        archived = find_archived(job_id)
        if archived is None:
            raise or_else
        job = Job(archived)
        if now:
            job.stored.return_lost(now)
        return job


def _alias_of(outcome: Outcome) -> str:
    return outcome.record.alias_of if outcome.record else ""


async def settled(job: Job) -> Job:
    """Return the job with its deadline enforced, in a thread if there is anything to write.

    If the database takes too long, the job is returned as it is. Its end is pushed as soon as it is written.
    """
    if job.is_overdue:
        with suppress(TimeoutError):
            await in_archive_thread(job.stored.settle, waits=False)
    return job


def is_id(text: object) -> bool:
    """Say whether a text can be a job's id at all."""
    return isinstance(text, str) and ID.fullmatch(text) is not None


def owner_name(owner: Any) -> str:
    """Return `user:<pk>` for a user, "" for nobody (anonymous included), and an owner's name as it is."""
    if owner is None or getattr(owner, "is_anonymous", False):
        return ""
    pk = getattr(owner, "pk", None)
    name = owner if isinstance(owner, str) else "" if pk is None else f"user:{pk}"
    if owner != "" and not OWNER.fullmatch(name):
        raise ValueError(
            f"{owner!r} is no owner: give a saved user, 'user:<pk>', 'visitor:<token>' or None."
        )
    return name


def _unreadable() -> StoreUnavailable:
    return StoreUnavailable("Redis does not answer, and the archive has no such job.")


def _tag(tag: object) -> str:
    if not isinstance(tag, str) or not 0 < len(tag) <= 200 or not tag.isprintable():
        raise ValueError(f"{tag!r} cannot be a tag: 1 to 200 printable characters.")
    return tag


def _path(job_id: str) -> str:
    try:
        return local_path(url_of("detail", job_id))
    except NoReverseMatch:  # a project without the routes: only the parts are used
        return ""
