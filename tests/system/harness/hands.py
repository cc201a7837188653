"""A process with the stack's settings that does what a test asks for: makes jobs and sessions, ends jobs in bursts.

`python -m tests.system.harness.hands` reads one JSON list `[name, arguments, keywords]` a line and answers with one JSON value.
"""

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from time import monotonic
from typing import Any, Self
from unittest.mock import patch

import django

HANDLER = "tests.system.countjobs.handlers.CountingHandler"


class Hands:
    """The process, seen from the test: every function of this module's `ACTS` is a method."""

    def __init__(self, env: dict[str, str]):
        command = [sys.executable, "-m", "tests.system.harness.hands"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, text=True)
        self._one_at_a_time = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __getattr__(self, name: str):
        return lambda *args, **kwargs: self.ask(name, *args, **kwargs)

    def ask(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Have something done, and return its result once it is done."""
        with self._one_at_a_time:
            self._process.stdin.write(json.dumps([name, args, kwargs]) + "\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline() or '["error", "it has ended"]')
        assert answer[0] == "done", f"{name}: {answer[1]}"
        return answer[1]

    def close(self) -> None:
        """End it."""
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


def await_store(seconds=5):
    """Wait until the store answers: for a second after a time-out nobody asks it."""
    give_up = monotonic() + seconds
    while True:
        try:
            return server.ping()
        except StoreUnavailable:
            if monotonic() > give_up:
                raise
            PAUSE.wait(0.05)


def standby():
    """Return which server holds the jobs, as the sentinels say."""
    return server.standby()


def create(number=1, owner="visitor:ann", start=True, handler=HANDLER, **more):
    """Make jobs, running ones unless told otherwise; return their ids."""
    await_store()
    made = [
        JobRepository().create(handler_class=handler, owner=owner, **more) for _ in range(number)
    ]
    for job in made:
        JOBS[job.id] = job
        if start:
            job.start()
    return [job.id for job in made]


def end(ids, state="complete", threads=4, every=0.0):
    """End jobs that this process has made, all at once or one every so many seconds."""

    def end_one(job_id):
        try:
            JOBS[job_id].end(JobState(state))
        finally:
            connections.close_all()

    if every:
        for job_id in ids:
            end_one(job_id)
            PAUSE.wait(every)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(end_one, ids))


def seconds_to_end(ids):
    """End jobs one after the other as a task's last line would, and return how long it took."""
    started = monotonic()
    end(ids, threads=1)
    return monotonic() - started


def try_to_end(ids):
    """Try to end jobs while the store is in trouble; return how long the slowest took."""
    slowest = 0.0
    for job_id in ids:
        started = monotonic()
        with suppress(JobError):
            JOBS[job_id].end(JobState.COMPLETE)
        slowest = max(slowest, monotonic() - started)
    return slowest


def retry_to_end(ids):
    """End those that have not ended, once the store answers again."""
    for job_id in ids:
        job = JobRepository().find(job_id)
        if not job.is_ended:
            job.end(JobState.COMPLETE)


def end_unarchived(job_id):
    """End a job in a process that dies before it has archived it."""
    with patch("jobs.job.announce_ended"):
        JOBS[job_id].end(JobState.COMPLETE)


def rename_handler(job_id, path):
    """Store another handler's path, as if the class had been renamed since, or the path were planted."""
    client().hset(keys.job_key(job_id), "handler_class", path)


def ticket(job_id):
    """Return a ticket to look on."""
    return access.ticket(topics.job_topic(job_id))


def start_task(name, number=1, owner="visitor:ann", **kwargs):
    """Submit tasks to the worker; return the ids of their jobs."""
    task = import_string(f"tests.system.countjobs.tasks.{name}")
    return [task.submit_job(None, kwargs=kwargs, owner=owner).id for _ in range(number)]


def call(job_id, verb, *args):
    """Call one verb of a job that this process has made."""
    getattr(JOBS[job_id], verb)(*args)


def set_data(job_id, key, value):
    """Write one value of a job's data."""
    JOBS[job_id].data[key] = value


def found(job_id):
    """Return what anybody finds of a job."""
    job = JobRepository().find(job_id)
    return {
        "state": job.state,
        "version": job.version,
        "data": dict(job.data),
        "claimed_url": job.claimed_url,
    }


def publish_rubbish(job_id):
    """Send over the layer what another version, or a colleague's mistake, might."""
    layer = get_channel_layer()
    topic = topics.job_topic(job_id)
    messages = [
        {"type": "job.postponed", "topics": [topic]},
        {
            "type": envelope.FRAME,
            "topics": [topic],
            "job": job_id,
            "version": "later",
            "frame": "{}",
        },
        {"type": "websocket.close", "code": 1000},
        {"no": "type"},
    ]
    for message in messages:
        async_to_sync(layer.group_send)(groups.group_of(topic, jobs_settings().SHARDS), message)


def archived(job_id):
    """Return the archived state, or None."""
    return JobRecord.objects.filter(pk=job_id).values_list("state", flat=True).first()


def age(job_id, days):
    """Have a job have ended some days ago, as far as the archive knows."""
    JobRecord.objects.filter(pk=job_id).update(ended_at=timezone.now() - timedelta(days=days))


def beat(ids):
    """Say that jobs are alive, as a worker does every few seconds."""
    records.beat(ids, jobs_settings().LOST_AFTER)


def restored(ids):
    """Do what the heart of a worker does: write jobs anew that Redis has lost."""
    for job_id in ids:
        JOBS[job_id].stored.restore()


def session(visitor="ann", username=""):
    """Return the cookie of a new session: a visitor's, or a user's."""
    client = Client()
    if username:
        client.force_login(get_user_model().objects.get(username=username))
    if visitor:
        stored = client.session
        stored["jobs_visitor"] = visitor
        stored.save()
        client.cookies["sessionid"] = stored.session_key
    return client.cookies["sessionid"].value


def end_session(key):
    """Delete a session, without anybody being told."""
    Session.objects.filter(pk=key).delete()


def deactivate(username, active=False):
    """Deactivate a user, as the admin does."""
    user = get_user_model().objects.get(username=username)
    user.is_active = active
    user.save()


def change_password(username):
    """Give a user another password."""
    user = get_user_model().objects.get(username=username)
    user.set_unusable_password()
    user.save()


def make_user(username, staff=False, permissions=()):
    """Make a user without a password."""
    user, _ = get_user_model().objects.get_or_create(
        username=username, defaults={"is_staff": staff}
    )
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))


def owner_of(username):
    """Return the name of a user as an owner."""
    return f"user:{get_user_model().objects.get(username=username).pk}"


def effects(job_id):
    """Return what the hook has left in the database for a job."""
    return list(Group.objects.filter(name__startswith=f"{job_id} ").values_list("name", flat=True))


def serve():
    """Answer until the input ends."""
    for line in sys.stdin:
        name, args, kwargs = json.loads(line)
        try:
            answer = ["done", ACTS[name](*args, **kwargs)]
        except Exception as error:
            answer = ["error", repr(error)]
        finally:
            connections.close_all()
        print(json.dumps(answer), flush=True)  # noqa: T201 - the protocol


JOBS: dict[str, Any] = {}
PAUSE = threading.Event()
ACTS = {name: value for name, value in globals().items() if name.islower() and callable(value)}

if __name__ == "__main__":
    django.setup()
    from asgiref.sync import async_to_sync
    from channels.layers import get_channel_layer
    from django.contrib.auth import get_user_model
    from django.contrib.auth.models import Group, Permission
    from django.contrib.sessions.models import Session
    from django.db import connections
    from django.test import Client
    from django.utils import timezone
    from django.utils.module_loading import import_string

    from jobs import access
    from jobs.conf import jobs_settings
    from jobs.core import topics
    from jobs.exceptions import JobError, StoreUnavailable
    from jobs.models import JobRecord
    from jobs.push import envelope, groups
    from jobs.repository import JobRepository
    from jobs.states import JobState
    from jobs.store import keys, records, server
    from jobs.store.client import client

    serve()
