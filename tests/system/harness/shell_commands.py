"""What a `ProjectShell` does for a test: make and end jobs, make people, read what was left.

It runs in a process of its own, after `django.setup()`. Arguments and results are JSON.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from threading import Event
from time import monotonic
from unittest.mock import patch

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
from jobs.job import Job
from jobs.models import JobRecord
from jobs.push import envelope, groups
from jobs.repository import JobRepository
from jobs.states import JobState
from jobs.store import client, keys, records, server

HANDLER = "tests.system.projects.countjobs.handlers.CountingHandler"
OWN_JOBS: dict[str, Job] = {}
NEVER_SET = Event()  # its `wait` sleeps, and libfaketime understands it, unlike time.sleep


# jobs


def await_store(seconds=5):
    """Wait until the store answers; for a second after a timeout the client does not ask it."""
    give_up = monotonic() + seconds
    while True:
        try:
            return server.ping()
        except StoreUnavailable:
            if monotonic() > give_up:
                raise
            NEVER_SET.wait(0.05)


def create(number=1, owner="visitor:ann", start=True, handler=HANDLER, **more):
    """Create jobs, running ones by default, and return their ids."""
    await_store()
    made = [
        JobRepository().create(handler_class=handler, owner=owner, **more) for _ in range(number)
    ]
    for job in made:
        OWN_JOBS[job.id] = job
        if start:
            job.start()
    return [job.id for job in made]


def start_task(name, number=1, owner="visitor:ann", **kwargs):
    """Submit tasks to the worker, and return the ids of their jobs."""
    task = import_string(f"tests.system.projects.countjobs.tasks.{name}")
    return [task.submit_job(None, kwargs=kwargs, owner=owner).id for _ in range(number)]


def call(job_id, verb, *args):
    """Call one verb of a job that this process has made."""
    getattr(OWN_JOBS[job_id], verb)(*args)


def set_data(job_id, key, value):
    """Write one value of a job's data."""
    OWN_JOBS[job_id].data[key] = value


def beat(ids):
    """Renew the deadlines of jobs, as a worker's heartbeat does."""
    records.beat(ids, jobs_settings().LOST_AFTER)


def restored(ids):
    """Write back jobs that Redis has lost, as a worker's heartbeat does."""
    for job_id in ids:
        OWN_JOBS[job_id].stored.restore()


# ends


def end(ids, state="complete", threads=4, every=0.0, error=""):
    """End jobs that this process has made: all at once, or one in `every` seconds."""
    if every:
        for job_id in ids:
            end_one(job_id, state, error)
            NEVER_SET.wait(every)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda job_id: end_one(job_id, state, error), ids))


def end_one(job_id, state="complete", error=""):
    """End one job, in any thread."""
    try:
        OWN_JOBS[job_id].end(JobState(state), error)
    finally:
        connections.close_all()


def seconds_to_end(ids):
    """End jobs one after the other, and return how long that took."""
    started = monotonic()
    end(ids, threads=1)
    return monotonic() - started


def try_to_end(ids):
    """Try to end jobs while the store is in trouble, and return how long the slowest took."""
    slowest = 0.0
    for job_id in ids:
        started = monotonic()
        with suppress(JobError):
            OWN_JOBS[job_id].end(JobState.COMPLETE)
        slowest = max(slowest, monotonic() - started)
    return slowest


def retry_to_end(ids):
    """End the jobs that have not ended, once the store answers again."""
    for job_id in ids:
        job = JobRepository().find(job_id)
        if not job.is_ended:
            job.end(JobState.COMPLETE)


def end_unarchived(job_id):
    """End a job as a process does that dies before it has archived the job."""
    with patch("jobs.lifecycle.stored_record.announce_ended"):
        OWN_JOBS[job_id].end(JobState.COMPLETE)


# damage


def rename_handler(job_id, path):
    """Store another handler's path, as if the class had been renamed, or the path planted."""
    client.client().hset(keys.job_key(job_id), "handler_class", path)


def publish_rubbish(job_id):
    """Send over the layer what another version of the app, or a colleague's mistake, might."""
    layer = get_channel_layer()
    topic = topics.job_topic(job_id)
    frame = {"type": envelope.FRAME, "topics": [topic], "job": job_id, "frame": "{}"}
    messages = [
        {"type": "job.postponed", "topics": [topic]},
        {**frame, "version": "later"},
        {"type": "websocket.close", "code": 1000},
        {"no": "type"},
    ]
    for message in messages:
        async_to_sync(layer.group_send)(groups.group_of(topic, jobs_settings().SHARDS), message)


def age(job_id, days):
    """Move the archived end of a job some days into the past."""
    JobRecord.objects.filter(pk=job_id).update(ended_at=timezone.now() - timedelta(days=days))


# what others find


def found(job_id):
    """Return what the repository finds of a job."""
    job = JobRepository().find(job_id)
    return {
        "state": job.state,
        "version": job.version,
        "data": dict(job.data),
        "claimed_url": job.claimed_url,
    }


def archived(job_id):
    """Return the archived state, or None."""
    return JobRecord.objects.filter(pk=job_id).values_list("state", flat=True).first()


def effects(job_id):
    """Return the rows that hooks have left in the database for a job."""
    return list(Group.objects.filter(name__startswith=f"{job_id} ").values_list("name", flat=True))


def standby():
    """Return which server holds the jobs, as the sentinels say."""
    return server.standby()


# people


def ticket(job_id):
    """Return a ticket to watch a job."""
    return access.ticket(topics.job_topic(job_id))


def session(visitor="ann", username=""):
    """Create a session of a visitor or a user, and return its cookie."""
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
    """Delete a session without any signal."""
    Session.objects.filter(pk=key).delete()


def make_user(username, staff=False, permissions=()):
    """Create a user without a password."""
    user, _ = get_user_model().objects.get_or_create(
        username=username, defaults={"is_staff": staff}
    )
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))


def owner_of(username):
    """Return the owner's name of a user."""
    return f"user:{get_user_model().objects.get(username=username).pk}"


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
