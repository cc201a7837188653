"""What tasks, colleagues and planted records may hold (FAULTS.md H11, H12, H14)."""

import json
import sys

import pytest

from jobs.exceptions import HandlerNotFound
from jobs.models import JobRecord
from jobs.testing import run_job
from tests.factories import (
    ANN,
    JSON,
    browser,
    create_job,
    ended_job,
    plant,
    request_of,
    staff,
    started_job,
)
from tests.handlers import PostHandler
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
