"""Creates jobs and finds them again: in Redis while they are kept there, later in the archive."""

import re
from collections.abc import Iterable, Mapping, Sequence
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
from .store import records, statuses
from .store.indexes import ALL, indexed
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
        """Store a new pending job and announce it, all or nothing.

        `id` is the Celery task id; by default it is a new one. `owner` is a user or an owner's
        name (`user:<pk>`, `visitor:<token>`). Every further keyword is data. Raises `JobExists`,
        `HandlerNotFound`, `UnserializableData`, `StoreUnavailable`, and `ValueError` for an
        invalid id, owner or tag.
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
        """Return a job that has been validated but is not stored yet."""
        job_id = str(uuid4()) if job_id is None else job_id
        if not is_id(job_id):
            raise ValueError(
                f"{job_id!r} cannot be a job's id. Give 1 to 128 of A-Z a-z 0-9 _ . : -"
            )
        find_handler(handler_class)
        if isinstance(tags, str):
            raise ValueError(f"The tags are one text, {tags!r}. Give a list: [{tags!r}].")
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
        """Store a draft, and return it. It expires if it is not started in time.

        `start_timeout` and `delay` are seconds, and the timeout begins after the delay. If another
        job that is alive holds the draft's unique key, nothing is stored and that job is returned.
        Raises `JobExists` if the id is taken.
        """
        seconds = jobs_settings().START_TIMEOUT if start_timeout is None else start_timeout
        change = Change(stamp="created_at", deadline=delay + seconds)
        holder = ""
        for _try in range(MAX_TRIES):
            if not (holder := job.stored.create(change, ended=holder)):
                send_signal(signals.job_created, job)
                return job
            if (running := self._find_alive(holder)) is not None:
                return running
        raise StoreUnavailable(
            f"Job {job.id} was not stored, because its unique key kept changing hands. Try again."
        )

    def holder(self, unique: str) -> Job | None:
        """Return the alive job that holds a unique key, given by its digest, or None."""
        holder = records.holder(unique)
        return self._find_alive(holder) if holder else None

    def store_alias(self, draft: Job, running: Job) -> None:
        """Let a draft's id lead to the job that runs in its place.

        A browser may already have the draft's address. The draft is in no list. The alias is kept
        as long as any record.
        """
        alias = Record(
            id=draft.id,
            state=JobState.CANCELLED,  # seen by processes of older versions, without aliases
            handler_class=running.record.handler_class,
            owner=running.owner,
            alias_of=running.id,
        )
        records.write(
            None, alias, Change(deadline=max(0, running.record.deadline - running.now) / 1_000_000)
        )

    def find(self, id: str) -> Job:  # noqa: A002
        """Return the job, with its deadline enforced.

        Raises `JobNotFound`, and `StoreUnavailable` if Redis does not answer and the archive
        does not have the job.
        """
        if not is_id(id):
            raise not_found(id)
        try:
            outcome = records.read(id)
            if alias_of := _alias_of(outcome):
                id, outcome = alias_of, records.read(alias_of)  # noqa: A001
        except StoreUnavailable:
            return self._archived(id, or_else=_unreadable())
        return self._stored_or_archived(id, outcome)

    def for_owner(self, owner: Any, limit: int = 20) -> list[Job]:
        """Return an owner's newest jobs, alive and ended, newest first.

        Takes three round trips, however many jobs there are. Nobody (None, an anonymous user) has
        no jobs, because a job without an owner is no visitor's business.
        """
        return self.for_owners(filter(None, [owner_name(owner)]), limit)

    def for_owners(self, owners: Iterable[str], limit: int = 20) -> list[Job]:
        """Return the newest jobs of a person with several owner names.

        After login a person is both a user and the visitor from before.
        """
        found: dict[str, Job] = {}
        for owner in owners:
            found |= {job.id: job for job in self.of_topic(topics.owner_topic(owner), limit)}
            archived = [row.to_record() for row in JobRecord.objects.of_owner(owner)[:limit]]
            for record in archived:
                # The column may be cut off, and MySQL ignores blanks at its end.
                if record.owner == owner:
                    found.setdefault(record.id, Job(record))
        return sorted(found.values(), key=lambda job: job.record.created_at, reverse=True)[:limit]

    def of_topic(self, topic: str, limit: int = 20) -> list[Job]:
        """Return the newest jobs of an owner's or a tag's topic that Redis still holds."""
        jobs = [job for job in self.read_all(indexed(topic, limit)) if topic in job.topics]
        return _settle_all(jobs)

    def alive(self, limit: int, scanned: int) -> list[Job]:
        """Return the newest jobs that are alive, at most `limit`, in three round trips.

        Only the newest `scanned` jobs of the list of all jobs are considered.
        """
        ids = indexed(ALL, scanned)
        found = zip(ids, statuses.statuses(ids), strict=True)
        alive = [job_id for job_id, status in found if status.is_alive]
        return [job for job in _settle_all(self.read_all(alive[:limit])) if not job.is_ended]

    def read_all(self, ids: Sequence[str]) -> list[Job]:
        """Return those jobs that Redis holds, in one round trip; deadlines are not enforced."""
        outcomes = records.read_all(ids) if ids else []
        return [Job(found.record, found.now) for found in outcomes if found.record is not None]

    async def acreate(self, *args: Any, **kwargs: Any) -> Job:
        """Create a job from asynchronous code; see `create`."""
        return await in_thread(self.create, *args, **kwargs)

    async def afind(self, id: str) -> Job:  # noqa: A002
        """Find a job from asynchronous code. Calls of the same moment share one round trip."""
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

    def _find_alive(self, job_id: str) -> Job | None:
        with suppress(JobNotFound):
            job = self.find(job_id)
            return None if job.is_ended else job
        return None

    async def _aarchived(self, job_id: str, or_else: Exception, now: int = 0) -> Job:
        try:
            return await in_archive_thread(self._archived, job_id, or_else, now)
        except TimeoutError as error:
            raise StoreUnavailable("The archive does not answer.") from error

    def _stored_or_archived(self, job_id: str, outcome: Outcome) -> Job:
        if outcome.record is None:
            return self._archived(job_id, not_found(job_id), outcome.now)
        job = Job(outcome.record, outcome.now)
        job.stored.settle()
        job.stored.trust_archive()
        return job

    def _archived(self, job_id: str, or_else: Exception, now: int = 0) -> Job:
        """Return the job from the archive. `now` is Redis's clock if Redis answered without it."""
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

    If the database takes too long, the job is returned as it is. Its end is pushed once written.
    """
    if job.is_overdue:
        with suppress(TimeoutError):
            await in_archive_thread(job.stored.settle, waits=False)
    return job


def _settle_all(jobs: list[Job]) -> list[Job]:
    for job in jobs:
        job.stored.settle()
    return jobs


def is_id(text: object) -> bool:
    """Return whether a text can be a job's id."""
    return isinstance(text, str) and ID.fullmatch(text) is not None


def owner_name(owner: Any) -> str:
    """Return `user:<pk>` for a user, "" for nobody, and an owner's name unchanged."""
    if owner is None or owner == "" or getattr(owner, "is_anonymous", False):
        return ""
    name = owner if isinstance(owner, str) else _user_name(owner)
    if not OWNER.fullmatch(name):
        raise ValueError(
            f"{owner!r} cannot own a job. "
            "Give a saved user, 'user:<pk>', 'visitor:<token>' or None."
        )
    return name


def _user_name(user: Any) -> str:
    pk = getattr(user, "pk", None)
    return "" if pk is None else f"user:{pk}"


def _unreadable() -> StoreUnavailable:
    return StoreUnavailable("Redis does not answer, and the archive has no such job.")


def _tag(tag: object) -> str:
    if not isinstance(tag, str) or not 0 < len(tag) <= 200 or not tag.isprintable():
        raise ValueError(f"{tag!r} cannot be a tag. Give 1 to 200 printable characters.")
    return tag


def _path(job_id: str) -> str:
    try:
        return local_path(url_of("detail", job_id))
    except NoReverseMatch:  # the project does not include our routes
        return ""
