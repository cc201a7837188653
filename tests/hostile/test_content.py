"""What tasks, colleagues and planted records may hold (FAULTS.md H11, H12, H13, H14)."""

import json
import sys

import pytest
from asgiref.sync import sync_to_async
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from jobs.exceptions import HandlerNotFound
from jobs.models import JobRecord
from jobs.record import _CODECS
from jobs.store import job_key
from jobs.testing import JobCommunicator, run_job
from tests.factories import ANN, JSON, OWNER, browser, create_job, ended_job, plant, request_of, staff, started_job
from tests.handlers import PostHandler
from tests.surroundings import database_file, nothing_left  # noqa: F401 - fixtures
from tests.tasks import stumble

pytestmark = pytest.mark.usefixtures("database_file")

NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'; alert(1); '",
    "{{ 7*7 }}{% debug %}",
    "\u202eevil",
    "</title></h1>",
    "a\x00b",
    "\ud800",
    "&lt;b&gt;",
    "x" * 100_000,
    "<" * 50_000,
    "${alert(1)}",
    "]]>",
    "--><b>",
]
FORBIDDEN = ["<script>alert", "<img src=x", "</title></h1>", "--><b>"]


@pytest.fixture
def ann():
    """Return the browser of Ann, who owns the jobs."""
    return browser(ANN)


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_h11_nasty_texts_are_escaped_and_cut_on_every_page(ann, text, monkeypatch):
    monkeypatch.setattr(PostHandler, "header", text)
    monkeypatch.setattr(PostHandler, "message", text)
    job = started_job()
    job.set_progress(1, 2, text)
    for _ in range(2):
        for path in (f"/jobs/{job.id}/", "/jobs/"):
            answer = ann.get(path)
            html = answer.content.decode()
            assert answer.status_code == 200
            assert not any(bad in html for bad in FORBIDDEN)
            assert len(html) < 120_000
        frame = ann.get(f"/jobs/{job.id}/", **JSON).json()["job"]
        limits = {"header": 200, "message": 1000, "error": 2000}
        assert all(len(frame[name]) <= most for name, most in limits.items())
        assert len(frame["progress"]["message"]) <= 200
        if not job.refresh().is_ended:
            job.fail(text)


@pytest.mark.parametrize(
    "path",
    [
        "os.system",
        "builtins.eval",
        "antigravity",
        "tests.hostile.never_imported.Handler",
        "tests.factories.browser",
        "jobs.job.Job",
        "",
        "..",
        "a" * 1000,
    ],
)
def test_h12_a_handler_that_is_none_is_never_imported_and_never_called(ann, path, redis_client):
    with pytest.raises(HandlerNotFound):
        create_job(handler_class=path)
    job = ended_job()
    plant(redis_client, job, handler_class=path)
    JobRecord.objects.update(stored=JobRecord.objects.get().stored | {"handler_class": path})
    assert ann.get(f"/jobs/{job.id}/").status_code == 200
    answer = ann.post(f"/jobs/{job.id}/ready/")
    assert answer.status_code == 500
    assert 'href="/jobs/"' in answer.content.decode()
    assert "antigravity" not in sys.modules
    assert "tests.hostile.never_imported" not in sys.modules


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


def test_h13_a_record_without_its_fields_or_of_another_type_harms_no_other(ann, redis_client, caplog):
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
        assert job.id in [one["id"] for one in ann.get("/jobs/", **JSON).json()["jobs"]] or healthy
        assert job.id in caplog.text
    assert ann.get(f"/jobs/{healthy.id}/", **JSON).status_code == 202


async def test_h13_a_damaged_job_fails_on_its_page_and_its_neighbour_goes_on(redis_client, nothing_left):  # noqa: F811
    job, neighbour = await sync_to_async(started_job)(), await sync_to_async(started_job)()
    async with JobCommunicator(dict(ANN), job.id) as page, JobCommunicator(dict(ANN), neighbour.id) as other:
        await page.event("started")
        await other.event("started")
        plant(redis_client, job, state="hibernating", current="[" * 100_000)
    async with JobCommunicator(dict(ANN), job.id) as page, JobCommunicator(dict(ANN), neighbour.id) as other:
        assert (await page.event("failed"))["error"]
        await other.event("started")


stored = st.dictionaries(
    st.one_of(st.sampled_from([*_CODECS, "data.", "data.a", 'data."', "mark", "data.\\u"]), st.text(max_size=5)),
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
            **{key.encode("utf-8", "replace"): value.encode("utf-8", "replace") for key, value in stored.items()},
        },
    )
    redis_client.zadd(f"jobs:index:owner:{OWNER}", {"planted": 1})
    client = browser(ANN)
    assert client.get("/jobs/planted/", **JSON).status_code < 500
    assert client.get("/jobs/", **JSON).status_code == 200
    redis_client.delete(job_key("planted"))


def test_h14_the_text_of_an_exception_reaches_nobody_but_the_log(ann, caplog):
    job = run_job(stumble, request_of(dict(ANN)), secret="hunter2")
    reference = job.error.rstrip(".").rpartition(" ")[2]
    assert job.state == "failed"
    seen = [
        ann.get(f"/jobs/{job.id}/").content,
        ann.get(f"/jobs/{job.id}/", **JSON).content,
        ann.get("/jobs/", **JSON).content,
    ]
    assert not any(b"hunter2" in text for text in seen)
    assert "hunter2" not in json.dumps(JobRecord.objects.get(pk=job.id).stored["error"])
    logged = [record for record in caplog.records if reference in record.getMessage()]
    assert len(logged) == 1
    assert logged[0].exc_info is not None


def test_h14_the_data_itself_is_on_no_page(ann):
    job = create_job(password="hunter2")  # the handler's public_data does not name it
    staff_browser = browser(user=staff("sam", "view_job"))
    for client in (ann, staff_browser):
        for headers in ({}, JSON):
            assert b"hunter2" not in client.get(f"/jobs/{job.id}/", **headers).content
