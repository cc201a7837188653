"""Records that somebody has damaged, in every field and way (FAULTS.md H13)."""

import pytest
from asgiref.sync import sync_to_async
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from jobs.core.record import _CODECS
from jobs.store.keys import job_key
from jobs.testing import JobCommunicator
from tests.factories import ANN, JSON, OWNER, browser, create_job, plant, started_job

pytestmark = pytest.mark.usefixtures("database_file")


@pytest.fixture
def ann():
    """Return the browser of Ann, who owns the jobs."""
    return browser(ANN)


RUBBISH = [
    "",
    "rubbish",
    "-1",
    "[" * 100_000,
    "1e400",
    "NaN",
    "9" * 5000,
    "null",
    '{"a":1}',
    "\x00",
    "\ud800".encode("utf-8", "surrogatepass"),
    b"\xff\xfe",
]


def looked_at(ann, job):
    """Look at a job in every way; return the status codes."""
    answers = [
        ann.get("/jobs/", **JSON),
        ann.get("/jobs/"),
        ann.get(f"/jobs/{job.id}/", **JSON),
        ann.get(f"/jobs/{job.id}/"),
    ]
    answers.append(ann.post(f"/jobs/{job.id}/cancel/", **JSON))
    claimed = ann.post(f"/jobs/{job.id}/ready/", **JSON)
    if claimed.status_code == 500:  # a hook that cannot be run, said in a frame of the protocol
        assert claimed.json()["job"]["id"] == job.id
    return [answer.status_code for answer in answers]


@pytest.mark.parametrize("field", sorted(_CODECS))
def test_h13_rubbish_in_any_field_of_a_record_is_no_server_error(ann, field, redis_client):
    healthy = create_job()
    for value in RUBBISH:
        job = started_job()
        redis_client.hset(job_key(job.id), field, value)
        assert all(status < 500 for status in looked_at(ann, job)), (field, value[:20])
        assert ann.get(f"/jobs/{healthy.id}/", **JSON).status_code == 202


def test_h13_a_record_without_its_fields_or_of_another_type_harms_no_other(
    ann, redis_client, caplog
):
    healthy = create_job()
    for change in (
        lambda key: redis_client.hdel(key, "state", "version", "handler_class"),
        lambda key: (redis_client.delete(key), redis_client.set(key, "text")),
        lambda key: (redis_client.delete(key), redis_client.rpush(key, "a", "b")),
        lambda key: redis_client.hset(key, "state", "hibernating"),
        lambda key: redis_client.hset(key, mapping={"version": 10**17, "format": "2"}),
    ):
        job = started_job()
        change(job_key(job.id))
        assert all(status < 500 for status in looked_at(ann, job))
        assert healthy.id in [one["id"] for one in ann.get("/jobs/", **JSON).json()["jobs"]]
        assert job.id in caplog.text
    assert ann.get(f"/jobs/{healthy.id}/", **JSON).status_code == 202


async def test_h13_a_damaged_job_fails_on_its_page_and_its_neighbour_goes_on(
    redis_client,
    nothing_left,
):
    job, neighbour = await sync_to_async(started_job)(), await sync_to_async(started_job)()
    async with (
        JobCommunicator(dict(ANN), job.id) as page,
        JobCommunicator(dict(ANN), neighbour.id) as other,
    ):
        await page.event("started")
        await other.event("started")
        plant(redis_client, job, state="hibernating", current="[" * 100_000)
    async with (
        JobCommunicator(dict(ANN), job.id) as page,
        JobCommunicator(dict(ANN), neighbour.id) as other,
    ):
        assert (await page.event("failed"))["error"]
        await other.event("started")


stored = st.dictionaries(
    st.one_of(
        st.sampled_from([*_CODECS, "data.", "data.a", 'data."', "mark", "data.\\u"]),
        st.text(max_size=5),
    ),
    st.one_of(
        st.text(max_size=30),
        st.integers().map(str),
        st.floats().map(str),
        st.sampled_from(["running", "complete", "lost", OWNER]),
    ),
    max_size=12,
)


@hypothesis_settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(stored=stored)
def test_h13_whatever_a_record_holds_it_can_be_looked_at(stored, redis_client):
    redis_client.hset(
        job_key("planted"),
        mapping={
            "owner": OWNER,
            **{
                key.encode("utf-8", "replace"): value.encode("utf-8", "replace")
                for key, value in stored.items()
            },
        },
    )
    redis_client.zadd(f"jobs:index:owner:{OWNER}", {"planted": 1})
    client = browser(ANN)
    assert client.get("/jobs/planted/", **JSON).status_code < 500
    assert client.get("/jobs/", **JSON).status_code == 200
    redis_client.delete(job_key("planted"))
