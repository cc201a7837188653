"""SECURITY.md is true: what it says of access to Redis is enough, and no more than that is needed."""

import re

import pytest
from asgiref.sync import sync_to_async

from jobs import store
from jobs.exceptions import StoreUnavailable
from jobs.sweep import sweep
from jobs.testing import JobCommunicator, run_job

from .documents import ROOT
from .factories import ANN, create_job, request_of
from .surroundings import database_file, nothing_left  # noqa: F401 - fixtures
from .tasks import send_parcel

pytestmark = pytest.mark.usefixtures("database_file")

RULE = re.search(r"^ACL SETUSER (\w+) on >(\w+) (.*)$", (ROOT / "SECURITY.md").read_text(), re.MULTILINE)


@pytest.fixture
def limited_url(redis_client):
    """The address of the tests' Redis for a user who may do what SECURITY.md says and nothing else."""
    name, password, rules = RULE.groups()
    redis_client.execute_command("ACL", "SETUSER", name, "reset", "on", f">{password}", *rules.split())
    address = redis_client.connection_pool.connection_kwargs
    yield f"redis://{name}:{password}@{address['host']}:{address['port']}/0"
    redis_client.execute_command("ACL", "DELUSER", name)


@pytest.fixture
def limited(settings, limited_url):
    """Jobs and the channel layer as that user."""
    settings.JOBS = settings.JOBS | {"REDIS_URL": limited_url}
    layer = settings.CHANNEL_LAYERS["default"]
    settings.CHANNEL_LAYERS = {"default": layer | {"CONFIG": {"hosts": [limited_url]}}}


@pytest.mark.usefixtures("limited")
def test_a_job_needs_no_more_of_redis_than_its_keys_and_channels():
    assert run_job(send_parcel, request_of(dict(ANN)), parcel="books").state == "complete"
    store.beat([create_job().id], 45)
    assert store.examine()[0] > 0
    sweep()


@pytest.mark.usefixtures("limited", "nothing_left")
async def test_nor_does_a_page():
    job = await sync_to_async(create_job)()
    async with JobCommunicator(ANN, job.id) as page:
        await page.event("created")
        await sync_to_async(job.start)()
        await sync_to_async(job.complete)()
        await page.event("ready")


def test_that_user_reaches_nothing_else(limited_url, redis_client, settings):
    redis_client.set("session:1", "secret")
    settings.JOBS = settings.JOBS | {"REDIS_URL": limited_url}
    for command in (["GET", "session:1"], ["FLUSHALL"], ["CONFIG", "GET", "*"], ["KEYS", "*"]):
        with pytest.raises(Exception, match="permission"):
            store.client().execute_command(*command)
    with pytest.raises(StoreUnavailable), store._errors():
        store.client().set("session:1", "forged")
