"""One play: a worker and its heart, two people, a reader, a canceller, the clock, and faults.

Every call of the store and of the archive is a point at which the others may move. Actors do what
background threads do in a server or a worker: late writes, and the renewal of leases.
"""

from collections.abc import Callable
from contextlib import nullcontext
from itertools import chain, count
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.backends.signals import connection_created
from django.db.utils import ConnectionHandler
from django.http import HttpRequest

from jobs import repository
from jobs.archive import writer
from jobs.core import transitions
from jobs.core.record import Record
from jobs.core.transitions import Step
from jobs.exceptions import JobCancelled, JobError, JobNotFound, StoreUnavailable
from jobs.handlers import JobHandler
from jobs.lifecycle import progress, stored_record
from jobs.queues.celery import heartbeat
from jobs.repository import JobRepository
from jobs.runtime import backlog
from jobs.states import ENDED, JobState
from jobs.store import client, keys, records
from jobs.store.kept_connection import kept_connection
from jobs.waiting import claim, hook
from jobs.waiting.leases import lease_keeper

from .stage import Stage

POSTS = 12  # of one person, before they give up for now
LOOKS = 6  # of one claim at another, before it gives up for now
PLACES = {"on_ready": "/good/", "on_failed": "/bad/"}

stage = Stage()
late: list[tuple[backlog.Backlog, Callable[[], None]]] = []


class Faults:
    """How many calls of this play fail yet."""

    store = 0
    archive = 0
    hook = 0


class Seen:
    """What has happened in this play."""

    job_id = ""
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
    return (ask("HGET", keys.job_key(job_id), "state") or "").strip('"')


def ask(*command: Any) -> Any:
    """Send a command of the play's own; redis-py's client takes twice as long."""
    return kept_connection().execute(*command)


def a_request() -> HttpRequest:
    """Return what a person sends; of it the claim looks at the host alone."""
    request = HttpRequest()
    request.META["HTTP_HOST"] = "localhost"
    return request


def archived_row(job_id: str) -> tuple[str, bool] | None:
    """Return the state in the archive, and whether it is claimed. Ten times as fast as the ORM."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT state, claimed_at FROM jobs_jobrecord WHERE id = %s", [job_id])
        row = cursor.fetchone()
    return row and (row[0], row[1] is not None)


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
    ):
        setattr(module, name, _archive_point(name, getattr(module, name)))
    find = _archive_point("find_archived", Remembered(writer.find_archived))
    stored_record.find_archived = repository.find_archived = find
    writer._BOUNDED.clear()  # nobody waits for a lock here anyway
    _keep_one_connection()
    ticks = count()
    claim.monotonic = lambda: next(ticks)
    claim.CLAIM_WAIT_SECONDS = LOOKS
    claim.sleep = lambda seconds: wait("waits for another claim")
    ConnectionHandler.close_all = lambda self: None  # type: ignore[method-assign]
    progress.OUTAGE_PAUSE = 0
    backlog.no_fork = heartbeat.no_fork = nullcontext  # held while others move
    lease_keeper()._is_running = True  # no thread: one of the actors is its
    backlog.Backlog.add = lambda self, action: late.append((self, action))


class Remembered:
    """Asks the archive, unless no row has changed since the last question.

    No transaction may be open either.

    Two of three questions are of that kind, and they took a sixth of the time of a schedule.
    """

    def __init__(self, ask: Callable[[str], Record | None]) -> None:
        self._ask = ask
        self._opened = [connection.connection]  # those of SQLite's
        self._asked: tuple[Any, ...] = ()
        self._answer: Record | None = None
        connection_created.connect(self._note, weak=False)

    def __call__(self, job_id: str) -> Record | None:
        if any(opened.in_transaction for opened in self._opened):
            return self._ask(job_id)
        asked = job_id, *(opened.total_changes for opened in self._opened)
        if asked != self._asked:
            self._answer = self._ask(job_id)
            self._asked = asked
        return self._answer

    def _note(self, connection: Any, **more: Any) -> None:
        self._opened.append(connection.connection)


class Reader:
    """Reads what Redis answers; redis-py's own reader takes three times as long."""

    def __init__(self, redis_connection: Any) -> None:
        file = redis_connection._sock.makefile("rb")
        self._line, self._bytes = file.readline, file.read
        self._error = redis_connection._parser.parse_error

    def __call__(self, **options: Any) -> Any:
        answer = self._next()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _next(self) -> Any:
        line = self._line()
        if line.startswith(b"$"):
            size = int(line[1:])
            return self._bytes(size + 2)[:-2].decode() if size >= 0 else None
        return self._others[line[:1]](self, line[1:-2])

    def _many(self, rest: bytes) -> Any:
        return [self._next() for _each in range(int(rest))] if rest != b"-1" else None

    def _pairs(self, rest: bytes) -> Any:
        return {self._next(): self._next() for _each in range(int(rest))}

    _others: dict[bytes, Callable[["Reader", bytes], Any]] = {  # noqa: RUF012
        b":": lambda self, rest: int(rest),
        b"*": _many,
        b"%": _pairs,
        b"+": lambda self, rest: rest.decode(),
        b"_": lambda self, rest: None,
        b"-": lambda self, rest: self._error(rest.decode()),
    }


def _keep_one_connection() -> None:
    """Let all actors share one connection to Redis: none stands still in the middle of a call."""
    pool = client.client().connection_pool
    kept = pool.get_connection()
    kept.read_response = Reader(kept)
    pool.get_connection = lambda *args, **kwargs: kept
    pool.release = lambda connection: None


def remove(rule: str) -> None:
    """Play without a rule, to see that the plays find that."""
    if rule == "claimed":
        stored_record.find_claimed = lambda job_id: None
    elif rule == "second look":
        claim._require_still_lost = lambda job, token: None
    else:
        transitions.archived_outcome = lambda archived: lambda record, now: Step(record)


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
        self.worked = JobRepository().create(handler_class=Handler)
        self.worked.start()
        Seen.job_id = self.job_id = self.worked.id
        self.key = keys.job_key(self.job_id)
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
        stage.add("clock", self.advance_clock)
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
        heart = heartbeat.Heart()
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
                    return claim.claim(job, a_request())
                wait("waits for the end")
            except (StoreUnavailable, JobNotFound, claim.NotEnded, hook.ClaimFailed) as error:
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

    def advance_clock(self) -> None:
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
        ask("FLUSHDB")
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

    def _end(self, *fields: str) -> None:
        times = ask("HMGET", self.key, *fields)
        over = [field for field, time in zip(fields, times, strict=True) if int(time or 0) > 1]
        if over:
            ask("HSET", self.key, *chain.from_iterable((field, 1) for field in over))
            Seen.changes += 1

    def judge(self, came_to_its_end: bool) -> list[str]:
        """Return which promises were broken."""
        if not came_to_its_end:
            return ["the play did not end"]
        Faults.store = Faults.archive = Faults.hook = 0
        place = self._settle()
        state, is_claimed = archived_row(self.job_id) or ("", False)
        about_hooks = self._about_hooks(state, is_claimed)
        return [*about_hooks, *self._about_places(place, state), *self._about_actors()]

    def _settle(self) -> str:
        """Let everything come to rest, and return where a person who comes now is sent."""
        for _round in range(8):
            known = Seen.changes
            for _late in range(len(late)):
                self._write_late()
            self._let_time_pass()
            if not late and Seen.changes == known:
                break
        return self.post()

    def _let_time_pass(self) -> None:
        self._end("leased_until", "deadline")

    def _about_hooks(self, archived: str, is_claimed: bool) -> list[str]:
        wrong = [f"{len(Seen.hooks)} hooks took effect"] if len(Seen.hooks) > 1 else []
        for name, state, in_redis in Seen.hooks:
            if JobState(state) not in ENDED:
                wrong.append(f"{name} ran for a job that is {state}")
            if (name == "on_ready") != (state == JobState.COMPLETE):
                wrong.append(f"{name} ran for {state}")
            if state == JobState.LOST and in_redis == JobState.RUNNING:
                wrong.append("on_failed ran for a job that is running again")
            if archived != state or not is_claimed:
                wrong.append(
                    f"a hook ran for {state}, but the archive says {archived or 'nothing'}"
                )
        if archived and JobState(archived) not in ENDED:
            wrong.append(f"archived as {archived}")
        return wrong

    def _about_places(self, last: str, archived: str) -> list[str]:
        places = {actor.result for actor in stage.actors if actor.name.endswith("person")} | {last}
        places -= {"", "killed"}
        wrong = [f"sent to {places}"] if len(places) > 1 else []
        in_redis = state_in_redis(self.job_id)
        if not last and (archived or in_redis):
            wrong.append(
                f"nobody can claim: Redis has {in_redis or 'nothing'}, "
                f"the archive {archived or 'nothing'}"
            )
        if archived and not Seen.was_emptied and in_redis and in_redis != archived:
            wrong.append(f"Redis says {in_redis}, the archive {archived}")
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


def account() -> list[str]:
    """Return every move of the last play and how each actor ended, without the job's random id."""
    ends = [f"{actor.name} ended: {actor.result!r}" for actor in stage.actors]
    return [line.replace(Seen.job_id, "(id)") for line in [*stage.trace, *ends]]
