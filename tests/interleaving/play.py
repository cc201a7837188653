"""One play: a worker, its parent's heart, two people, a reader, a canceller, the clock, and what may go wrong.

Every call of the store and of the archive is a point at which the others may move. What background threads do in a
server or a worker (late writes, the renewal of leases) is done by actors here.
"""

from collections.abc import Callable
from contextlib import nullcontext
from itertools import count
from typing import Any
from uuid import uuid4

from django.db import OperationalError, connection, transaction
from django.db.utils import ConnectionHandler
from django.test import RequestFactory

from jobs import repository
from jobs.archive import writer
from jobs.exceptions import JobCancelled, JobError, JobNotFound, StoreUnavailable
from jobs.handlers import JobHandler
from jobs.job import Job
from jobs.lifecycle import progress, stored_record
from jobs.models import JobRecord
from jobs.queues.celery import worker
from jobs.repository import JobRepository
from jobs.runtime import backlog
from jobs.states import ENDED, JobState
from jobs.store import keys, records
from jobs.store.client import client
from jobs.waiting import claim
from jobs.waiting.leases import lease_keeper

from .stage import Stage

POSTS = 12  # of one person, before they give up for now
LOOKS = 6  # of one claim at another, before it gives up for now
PLACES = {"on_ready": "/good/", "on_failed": "/bad/"}

stage = Stage()
late: list[tuple[backlog.Backlog, Callable[[], None]]] = []


class Faults:
    """How many calls of this play fail yet."""

    records = 0
    archive = 0
    hook = 0


class Seen:
    """What has happened in this play."""

    hooks: list[tuple[str, str, str]] = []  # noqa: RUF012 - name, the job's state for it, the state in Redis
    was_emptied = False
    changes = 0  # of what is stored
    has_claims = False  # at least one has come as far as the database


class Handler(JobHandler):
    """Says which of its hooks took effect."""

    def on_ready(self, request: Any) -> None:
        self._run("on_ready")

    def on_failed(self, request: Any) -> None:
        self._run("on_failed")

    def next_url(self, request: Any) -> str:
        return PLACES["on_ready"]

    def failed_url(self, request: Any) -> str:
        return PLACES["on_failed"]

    def _run(self, name: str) -> None:
        job_id, state = self.job.id, str(self.job.state)
        stage.point(f"runs {name}")
        if Faults.hook and stage.random.random() < 0.5:
            Faults.hook -= 1
            raise RuntimeError("The hook fails.")
        transaction.on_commit(lambda: Seen.hooks.append((name, state, state_in_redis(job_id))))


def state_in_redis(job_id: str) -> str:
    """Return the state that Redis has; "" if it has none."""
    text: Any = client().hget(keys.job_key(job_id), "state")
    return (text or "").strip('"')


def prepare() -> None:
    """Make a point of every call of the store and the archive, once for this process."""
    for name in ("run", "run_all", "read_all"):
        setattr(records, name, _store_point(name, getattr(records, name)))
    for module, name in (
        (writer, "archive_now"),
        (writer, "_claimed"),
        (claim, "archive_now"),
        (claim, "_claim_row"),
        (claim, "_settle_outcome"),
        (stored_record, "find_archived"),
        (repository, "find_archived"),
    ):
        setattr(module, name, _archive_point(name, getattr(module, name)))
    ticks = count()
    claim.monotonic = lambda: next(ticks)
    claim.PATIENCE = LOOKS
    claim.sleep = lambda seconds: wait("waits for another claim")
    ConnectionHandler.close_all = lambda self: None  # type: ignore[method-assign]
    progress.OUTAGE_PAUSE = 0
    backlog.no_fork = worker.no_fork = nullcontext  # held while others move
    lease_keeper()._is_running = True  # no thread: one of the actors is its
    backlog.Backlog.add = lambda self, action: late.append((self, action))


def remove(rule: str) -> None:
    """Play without a rule, to see that the plays find that."""
    if rule == "claimed":
        stored_record.find_claimed = lambda job_id: None
    elif rule == "second look":
        claim._require_still_lost = lambda job, token: None
    else:
        Job.take_outcome = lambda self, archived: None


def _has_claims() -> bool:
    return Seen.has_claims


def wait(what: str) -> None:
    """Wait until something changes."""
    known = Seen.changes
    stage.point(what, until=lambda: Seen.changes != known)


def _store_point(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        stage.point(name)
        if name != "read_all":
            Seen.changes += 1
        if Faults.store and stage.random.random() < 0.1:
            Faults.store -= 1
            if stage.random.random() < 0.5:
                stage.trace.append("  Redis does not answer")
                raise StoreUnavailable("Redis is away.")
            stage.trace.append("  the answer is lost")
            real(*args, **kwargs)
            stage.point(f"{name} again")
        return real(*args, **kwargs)

    return call


def _archive_point(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        Seen.has_claims |= name == "_claim_row"
        stage.point(name)
        if name != "find_archived":
            Seen.changes += 1
        if Faults.archive and name != "find_archived" and stage.random.random() < 0.15:
            Faults.archive -= 1
            stage.trace.append("  the database is locked")
            raise OperationalError("database is locked")
        return real(*args, **kwargs)

    return call


class Play:
    """One schedule."""

    def __init__(self, seed: int) -> None:
        stage.clear(seed)
        late.clear()
        lease_keeper()._held.clear()
        Seen.hooks, Seen.was_emptied, Seen.has_claims = [], False, False
        Faults.store = Faults.archive = Faults.hook = 0
        self.random = stage.random
        self.job_id = JobRepository().create(id=str(uuid4()), handler_class=Handler).id
        self.worked = JobRepository().find(self.job_id)
        self.worked.start()
        self.end = JobState.COMPLETE if self.random.random() < 0.6 else JobState.FAILED
        self._cast()
        stage.let_time_pass = self._let_time_pass

    def _cast(self) -> None:
        draw = self.random.random
        Faults.store = self.random.choice((0, 0, 1, 2))
        Faults.archive = self.random.choice((0, 0, 1, 2))
        Faults.hook = self.random.choice((0, 0, 0, 1))
        stage.add("worker", self.work, self.random.randint(1, 8) if draw() < 0.2 else None)
        stage.add("first person", self.post, self.random.randint(1, 14) if draw() < 0.15 else None)
        stage.add("second person", self.post)
        stage.add("clock", self.pass_time)
        stage.add("late writer", self.catch_up)
        stage.add("reader", self.look)
        if draw() < 0.5:
            stage.add("keeper", self.keep)
        if draw() < 0.4:
            stage.add("heart", self.beat)
        if draw() < 0.2:
            stage.add("canceller", self.cancel)
        if draw() < 0.25:
            stage.add("nemesis", self.empty)

    def work(self) -> str:
        """Report progress, and end the job."""
        job = self.worked
        if self.random.random() < 0.5:
            stage.point("is silent", until=_has_claims)
        try:
            for n in range(self.random.randint(0, 2)):
                job.set_progress(n + 1, 3)
            job.end(self.end)
        except (JobError, JobCancelled) as error:
            return f"{type(error).__name__}: {error}"
        return str(job.state)

    def beat(self) -> None:
        """Beat as the worker's parent does."""
        heart = worker.Heart()
        for _beat in range(3):
            try:
                heart.beat([self.job_id])
            except JobError:
                stage.trace.append("  no heartbeat")

    def post(self) -> str:
        """Post until there is a place, or for some time."""
        for _post in range(POSTS):
            try:
                job = JobRepository().find(self.job_id)
                if job.is_ended:
                    return claim.claim(job, RequestFactory().post("/", HTTP_HOST="localhost"))
                wait("waits for the end")
            except (StoreUnavailable, JobNotFound, claim.NotEnded, claim.ClaimFailed) as error:
                wait(f"is refused: {type(error).__name__}")
        return ""

    def look(self) -> str:
        """Read the job."""
        try:
            return str(JobRepository().find(self.job_id).state)
        except JobError as error:
            return type(error).__name__

    def cancel(self) -> None:
        """Cancel the job."""
        try:
            JobRepository().find(self.job_id).cancel()
        except JobError as error:
            stage.trace.append(f"  {error}")

    def pass_time(self) -> None:
        """Let the deadline pass, and leases end whose holder stands still."""
        stage.point("deadline")
        self._end("deadline")
        for _tick in range(self.random.randint(0, 2)):
            stage.point("leased_until", until=_has_claims)
            self._end("leased_until")
        if self.random.random() < 0.3:
            stage.point("deadline")
            self._end("deadline")

    def keep(self) -> None:
        """Renew the leases that this process holds."""
        for _renewal in range(2):
            stage.point("renews")
            for token, job in list(lease_keeper()._held.items()):
                lease_keeper()._renew(token, job)

    def empty(self) -> None:
        """Empty Redis."""
        stage.point("empties Redis")
        client().flushdb()
        Seen.was_emptied = True
        Seen.changes += 1

    def catch_up(self) -> None:
        """Write what could not be written before, until nobody else moves."""
        while not stage.is_alone():
            stage.point("has something to write", until=lambda: bool(late))
            if late and not self._write_late():
                wait("has to try again")

    def _write_late(self) -> bool:
        place, action = late.pop(0)
        if not (is_done := place._is_done(action)):
            late.append((place, action))
        return is_done

    def _end(self, field: str) -> None:
        redis, key = client(), keys.job_key(self.job_id)
        if int(redis.hget(key, field) or 0) > 1:
            redis.hset(key, field, 1)
            Seen.changes += 1

    def judge(self, came_to_its_end: bool) -> list[str]:
        """Return which promises were broken."""
        if not came_to_its_end:
            return ["the play did not end"]
        Faults.store = Faults.archive = Faults.hook = 0
        place = self._settle()
        return [*self._about_hooks(), *self._about_places(place), *self._about_actors()]

    def _settle(self) -> str:
        """Let everything come to rest, and return where a person who comes now is sent."""
        for _round in range(8):
            for _late in range(len(late)):
                self._write_late()
            self._let_time_pass()
        return self.post()

    def _let_time_pass(self) -> None:
        self._end("leased_until")
        self._end("deadline")

    def _about_hooks(self) -> list[str]:
        row = JobRecord.objects.filter(pk=self.job_id).first()
        wrong = [f"{len(Seen.hooks)} hooks took effect"] if len(Seen.hooks) > 1 else []
        for name, state, in_redis in Seen.hooks:
            if JobState(state) not in ENDED:
                wrong.append(f"{name} ran for a job that is {state}")
            if (name == "on_ready") != (state == JobState.COMPLETE):
                wrong.append(f"{name} ran for {state}")
            if state == JobState.LOST and in_redis == JobState.RUNNING:
                wrong.append("on_failed ran for a job that is running again")
            if row is None or row.state != state or not row.claimed_at:
                wrong.append(f"a hook ran for {state}, but the archive says {row and row.state}")
        if row is not None and JobState(row.state) not in ENDED:
            wrong.append(f"archived as {row.state}")
        return wrong

    def _about_places(self, last: str) -> list[str]:
        places = {actor.result for actor in stage.actors if actor.name.endswith("person")} | {last}
        places -= {"", "killed"}
        wrong = [f"sent to {places}"] if len(places) > 1 else []
        in_redis = state_in_redis(self.job_id)
        row = JobRecord.objects.filter(pk=self.job_id).first()
        if not last and (row is not None or in_redis):
            wrong.append(
                f"nobody can claim: Redis has {in_redis or 'nothing'}, the archive {row and row.state}"
            )
        if row is not None and not Seen.was_emptied and in_redis and in_redis != row.state:
            wrong.append(f"Redis says {in_redis}, the archive {row.state}")
        return wrong

    def _about_actors(self) -> list[str]:
        return [
            f"{actor.name}: {actor.result!r}"
            for actor in stage.actors
            if isinstance(actor.result, BaseException)
        ]


def run(seed: int) -> list[str]:
    """Play one schedule, and return which promises were broken."""
    play = Play(seed)
    wrong = play.judge(stage.play())
    if connection.in_atomic_block:
        wrong.append("a transaction was left open")
    return wrong


def results() -> dict[str, Any]:
    """Return how each actor of the last play ended."""
    return {actor.name: actor.result for actor in stage.actors}
