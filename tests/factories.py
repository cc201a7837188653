"""People, jobs and helpers that many tests share."""

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import takewhile

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, Permission
from django.db import connections
from django.test import Client, RequestFactory

from jobs.repository import JobRepository
from jobs.states import JobState
from jobs.store import records

from .handlers import PostHandler

ANN = {"jobs_visitor": "ann"}  # the session of a visitor, who owns most jobs of the tests
BOB = {"jobs_visitor": "bob"}  # the session of a stranger
OWNER = "visitor:ann"
JSON = {"HTTP_ACCEPT": "application/json"}
NOWHERE = "redis://127.0.0.1:1/0"  # nobody listens on port 1


def create_job(**values):
    """Return a new pending job of Ann's."""
    return JobRepository().create(**{"owner": OWNER, "handler_class": PostHandler} | values)


def started_job(**values):
    """Return a job of Ann's that a worker has started."""
    job = create_job(**values)
    job.start()
    return job


def ended_job(state=JobState.COMPLETE, error="", **values):
    """Return a job of Ann's that has ended."""
    job = started_job(**values)
    job.end(state, error)
    return job


def hash_of(redis_client, job):
    """Return what Redis holds of a job."""
    stored = redis_client.hgetall(f"jobs:{{{job if isinstance(job, str) else job.id}}}")
    return {name.decode(): value.decode() for name, value in stored.items()}


def plant(redis_client, job, **fields):
    """Write into a job's hash directly, past the app."""
    redis_client.hset(f"jobs:{{{job.id}}}", mapping=fields)


def user(name="ada", **values):
    """Return a user without a password, because hashing one is slow."""
    return get_user_model().objects.create(username=name, **values)


def staff(name="sam", *permissions, **values):
    """Return a member of staff with some permissions of the app."""
    member = user(name, is_staff=True, **values)
    member.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return member


def browser(session=None, user=None, **options):
    """Return a browser with a visitor's session, or one in which a user is logged in."""
    client = Client(**options)
    if user is not None:
        client.force_login(user)
    if session:
        stored = client.session
        stored.update(session)
        stored.save()
    return client


def request_of(session=None, user=None, path="/", **headers):
    """Return a request as a view gets it."""
    request = RequestFactory().get(path, **headers)
    request.session = {} if session is None else session
    request.user = user
    return request


def annas():
    """Return a request of Ann's, who has not logged in."""
    return request_of(dict(ANN), AnonymousUser())


def eventually(look, seconds=5.0):
    """Call `look` until it returns something true, and return that."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"still false after {seconds} s"
        time.sleep(0.005)
    return seen


def at_once(actions):
    """Run the actions at once in threads, and return what each returned or raised."""
    gate = threading.Barrier(len(actions))

    def run(action):
        gate.wait(10)
        try:
            return action()
        except Exception as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))


def commands(redis_client, action):
    """Return the commands that clients send to Redis during the action, without a script's own."""
    with redis_client.monitor() as monitor:
        redis_client.echo("from here")
        action()
        redis_client.echo("to here")
        seen = iter(monitor.next_command, None)
        next(command for command in seen if "from here" in command["command"])
        between = takewhile(lambda command: "to here" not in command["command"], seen)
        return [
            command["command"].split()[0] for command in between if command["client_type"] != "lua"
        ]


def again(job):
    """Return the job as another process reads it."""
    return JobRepository().find(job.id)


def event_names(frames):
    """Return the events of the frames."""
    return [frame["event"] for frame in frames]


def overdue(job):
    """Wait until the job's deadline has passed by the clock of Redis."""
    eventually(lambda: records.read(job.id).now > records.read(job.id).record.deadline)


def lost_job():
    """Return a job as its worker holds it, and as others read it: lost."""
    worker = started_job()
    overdue(worker)
    known = again(worker)
    assert known.state is JobState.LOST
    return worker, known


@contextmanager
def locked_database(mode="IMMEDIATE"):
    """Hold the lock of the SQLite file like another process: against writes, or "EXCLUSIVE"."""
    with closing(sqlite3.connect(connections["default"].settings_dict["NAME"])) as other:
        other.isolation_level = None
        other.execute(f"BEGIN {mode}")
        yield
        other.execute("ROLLBACK")


def draft(**data):
    """Return a job that is not stored yet."""
    return JobRepository().draft(None, "tests.handlers.PostHandler", "visitor:ann", [], data)
