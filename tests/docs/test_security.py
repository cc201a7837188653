"""SECURITY.md is true about what is stored where, and which Redis rights are enough."""

import re

import pytest
from asgiref.sync import sync_to_async
from django.apps import apps

from jobs.exceptions import StoreUnavailable
from jobs.models import JobRecord
from jobs.store import client, records, server
from jobs.testing import JobCommunicator, run_immediately, run_job
from jobs.upkeep.sweep import sweep
from tests.factories import ANN, create_job, request_of
from tests.tasks import send_parcel

from .documents import ROOT

pytestmark = pytest.mark.usefixtures("database_file")

RULE = re.search(
    r"^ACL SETUSER (\w+) on >(\w+) (.*)$", (ROOT / "SECURITY.md").read_text(), re.MULTILINE
)


@pytest.fixture
def limited_url(redis_client):
    """Return the address of the tests' Redis for a user with the rights of SECURITY.md only."""
    name, password, rules = RULE.groups()
    redis_client.execute_command(
        "ACL", "SETUSER", name, "reset", "on", f">{password}", *rules.split()
    )
    address = redis_client.connection_pool.connection_kwargs
    yield f"redis://{name}:{password}@{address['host']}:{address['port']}/0"
    redis_client.execute_command("ACL", "DELUSER", name)


@pytest.fixture
def limited(settings, limited_url):
    """Let jobs and the channel layer connect as that user."""
    settings.JOBS = settings.JOBS | {"REDIS_URL": limited_url}
    layer = settings.CHANNEL_LAYERS["default"]
    settings.CHANNEL_LAYERS = {"default": layer | {"CONFIG": {"hosts": [limited_url]}}}


@pytest.mark.usefixtures("limited")
def test_a_job_needs_only_its_keys_and_channels_in_redis():
    assert run_job(send_parcel, request_of(dict(ANN)), parcel="books").state == "complete"
    records.beat([create_job().id], 45)
    assert server.check_write()[0] > 0
    sweep()


@pytest.mark.usefixtures("limited", "nothing_left")
async def test_a_page_needs_only_its_keys_and_channels_in_redis():
    job = await sync_to_async(create_job)()
    async with JobCommunicator(ANN, job.id) as page:
        await page.event("created")
        await sync_to_async(job.start)()
        await sync_to_async(job.complete)()
        await page.event("ready")


def test_the_limited_user_reaches_nothing_else(limited_url, redis_client, settings):
    redis_client.set("session:1", "secret")
    settings.JOBS = settings.JOBS | {"REDIS_URL": limited_url}
    for command in (["GET", "session:1"], ["FLUSHALL"], ["CONFIG", "GET", "*"], ["KEYS", "*"]):
        with pytest.raises(Exception, match="permission"):
            client.client().execute_command(*command)
    with pytest.raises(StoreUnavailable), client.store_errors():
        client.client().set("session:1", "forged")


def test_redis_holds_a_job_and_its_lists_and_forgets_them_all(redis_client):
    job = submit("books")
    keys = {key.decode(): redis_client.ttl(key) for key in redis_client.keys("jobs:*")}
    lists = ["jobs:index:all", "jobs:index:owner:visitor:ann", "jobs:index:tag:post"]
    assert set(keys) == {f"jobs:{{{job.id}}}", *lists}
    longest = 86400 + 3600  # TTL after START_TIMEOUT
    assert all(0 < keys[key] <= (30 * 86400 if key == lists[0] else longest) for key in keys)
    assert all(redis_client.zrange(key, 0, -1) == [job.id.encode()] for key in lists)
    stored = {key.decode().partition(".")[0] for key in redis_client.hgetall(f"jobs:{{{job.id}}}")}
    assert {"owner", "tags", "data", "path", "language"} <= stored


def test_the_archive_is_one_table_and_the_session_holds_a_token():
    session = {}
    job = run_job(send_parcel, request_of(session), parcel="books")
    assert set(session) == {"jobs_visitor"} and job.owner == f"visitor:{session['jobs_visitor']}"
    assert len(session["jobs_visitor"]) * 6 >= 192  # bits; a character of base64 is six
    assert [model._meta.db_table for model in apps.get_app_config("jobs").get_models()] == [
        "jobs_jobrecord"
    ]
    assert JobRecord.objects.get(pk=job.id).stored["data.parcel"] == '"books"'


def submit(parcel):
    """Run a job with a tag and data."""
    with run_immediately():
        return send_parcel.submit_job(
            request_of(dict(ANN)), kwargs={"parcel": parcel}, data={"a": 1}, tags=["post"]
        )
