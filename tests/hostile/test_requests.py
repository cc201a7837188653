"""What a client may put into a request (FAULTS.md H3, H9, H10, H18)."""

import re
from urllib.parse import quote

import pytest

from jobs.testing import JobCommunicator
from tests.factories import (
    ANN,
    JSON,
    browser,
    commands,
    create_job,
    ended_job,
    hash_of,
    plant,
    started_job,
)

pytestmark = pytest.mark.usefixtures("database_file")

IDS = [
    "..",
    "../..",
    "a/../b",
    "%00",
    "a\x00b",
    "a\r\nSet-Cookie: x=1",
    "a\n",
    "{}",
    "{a}",
    "*",
    "jobs:*",
    "[a-z]",
    "a?",
    "]]..redis.call('FLUSHALL')..[[",
    "x" * 129,
    "x" * 5000,
    "ä",
    "\u202e",
    "\ud83d\ude00",
    "index:owner:visitor:ann",
    "asgi__group__jobs.1",
    "celery",
    "jobs:{a}",
    " ",
    "a b",
    "a;b",
    "$(id)",
    "' OR 1=1 --",
    "-",
    ".",
    ":",
]
NOT_HERE = [
    "https://evil.example/",
    "//evil.example/",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https:evil.example",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    " javascript:alert(1)",
    "data:text/html,x",
    "http://testserver@evil.example/",
    "http://testserver:80@evil.example",
    "https://evil.example\\@testserver/",
    "http://testserver.evil.example/",
    "/ok\r\nSet-Cookie: a=b",
    "/ok\nX: y",
    "\x00/",
    "/\u202egnp",
    "\t//evil.example",
    "ftp://testserver/",
    "/" + "x" * 3000,
]


@pytest.fixture
def ann():
    """Return the browser of Ann, who owns the jobs."""
    return browser(ANN)


@pytest.mark.parametrize("verb", ["ready", "cancel"])
@pytest.mark.parametrize("has_middleware", [True, False])
def test_h03_without_the_csrf_token_nothing_happens(verb, has_middleware, redis_client, settings):
    if not has_middleware:
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "Csrf" not in name]
    job = ended_job() if verb == "ready" else started_job()
    before = hash_of(redis_client, job)
    client = browser(ANN, enforce_csrf_checks=True)
    for headers in (
        {},
        {"HTTP_X_CSRFTOKEN": "x" * 64},
        {"HTTP_X_CSRFTOKEN": "\x00"},
        {"HTTP_ORIGIN": "https://evil.example"},
    ):
        assert client.post(f"/jobs/{job.id}/{verb}/", **headers).status_code == 403
    assert client.get(f"/jobs/{job.id}/{verb}/").status_code == 405
    assert client.head(f"/jobs/{job.id}/{verb}/").status_code == 405
    assert hash_of(redis_client, job) == before


@pytest.mark.parametrize("job_id", IDS, ids=range(len(IDS)))
def test_h09_a_strange_id_is_not_found_and_touches_no_other_key(ann, job_id, redis_client):
    job = started_job()
    before = (
        {key: redis_client.type(key) for key in redis_client.keys("*")},
        hash_of(redis_client, job),
    )
    for method, route in [("get", ""), ("post", "ready/"), ("post", "cancel/")]:
        assert (
            getattr(ann, method)(
                f"/jobs/{quote(job_id, safe='', errors='surrogatepass')}/{route}"
            ).status_code
            == 404
        )
    assert (
        {key: redis_client.type(key) for key in redis_client.keys("*")},
        hash_of(redis_client, job),
    ) == before


def test_h09_a_plausible_id_causes_only_reads_of_our_own_keys(ann, redis_client):
    assert set(commands(redis_client, lambda: ann.get("/jobs/celery/", **JSON))) <= {
        "TIME",
        "HGETALL",
        "CLIENT",
        "HELLO",
    }


@pytest.mark.parametrize("job_id", IDS, ids=range(len(IDS)))
async def test_h09_a_strange_id_is_not_found_on_the_socket(job_id, nothing_left):
    if len(job_id) < 4000:  # longer than a frame may be
        async with JobCommunicator(dict(ANN)) as socket:
            assert (await socket.subscribe(job=job_id))["code"] in ("not_found", "bad_frame")
    if "/" not in job_id:
        async with JobCommunicator(dict(ANN), quote(job_id, errors="surrogatepass")) as socket:
            assert await socket.close_code() == 4404


@pytest.mark.parametrize("url", NOT_HERE, ids=range(len(NOT_HERE)))
def test_h10_a_next_url_to_elsewhere_is_not_followed(ann, url, caplog):
    job = ended_job(next=url)
    assert ann.post(f"/jobs/{job.id}/ready/", **JSON).json() == {"url": "/jobs/"}
    assert job.id in caplog.text
    assert ann.post(f"/jobs/{job.id}/ready/").headers["Location"] == "/jobs/"


@pytest.mark.parametrize("url", NOT_HERE, ids=range(len(NOT_HERE)))
def test_h10_a_place_that_was_planted_in_redis_is_not_followed_either(ann, url, redis_client):
    job = ended_job()
    plant(redis_client, job, claimed_url=url, claimed_at=1, path=url)
    assert ann.post(f"/jobs/{job.id}/ready/", **JSON).json() == {"url": "/jobs/"}
    page = ann.get(f"/jobs/{job.id}/")
    assert page.status_code == 200
    assert "evil.example" not in page.content.decode()
    assert "evil.example" not in ann.post(f"/jobs/{job.id}/cancel/").headers["Location"]


@pytest.mark.parametrize("path", ["", "{id}/"])
def test_h18_a_page_may_not_be_framed_and_works_under_a_strict_policy(ann, path):
    job = create_job()
    answer = ann.get("/jobs/" + path.format(id=job.id))
    html = answer.content.decode()
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert re.findall(r"<script(?![^>]*\bsrc=)", html) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:", html) == []
    assert re.findall(r'(?:src|href)="https?://', html) == []
