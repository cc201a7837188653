"""Secrets are planted, and must not be in frames, logs, headers, addresses, pages or figures."""

import json
import logging

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings as project_settings
from django.test import RequestFactory

from jobs import metrics
from jobs.access import ticket
from jobs.doctor import walk
from jobs.testing import (
    JobCommunicator,
    advance_clock,
    broker_down,
    capture_events,
    kill_worker,
    run_job,
)
from tests.factories import JSON, browser, create_job, request_of, staff
from tests.tasks import stumble

pytestmark = pytest.mark.usefixtures("database_file")

TOKEN, SECRET, PASSWORD = (
    "planted-visitor-token",
    "planted-in-data-and-exception",
    "planted-password",
)
SESSION = {"jobs_visitor": TOKEN}
NOWHERE = f"redis://planted-user:{PASSWORD}@127.0.0.1:1/0"


def running():
    """Return a job that is at work, with a secret in its data."""
    job = create_job(
        owner=f"visitor:{TOKEN}", handler_class="jobs.handlers.JobHandler", secret=SECRET
    )
    job.start()
    job.set_progress(1, 2, "half")
    return job


def completed():
    """Return one that has ended well."""
    job = running()
    job.complete()
    return job


def failed():
    """Return one whose task has raised the secret, which is in its arguments too."""
    return run_job(stumble, request_of(dict(SESSION)), secret=SECRET)


def lost():
    """Return one whose worker was killed."""
    with kill_worker():
        job = run_job(stumble, request_of(dict(SESSION)), secret=SECRET)
    advance_clock(60, job)
    return job.refresh()


def unsent():
    """Return one that the broker did not take."""
    with broker_down():
        return stumble.start_job(request_of(dict(SESSION)), secret=SECRET).refresh()


MAKERS = [running, completed, failed, lost, unsent]


def answers(client, job):
    """Look at a job in every way; return address, headers, cookies and body of each answer."""
    path = f"/jobs/{job.id}/"
    asked = [
        client.get(path),
        client.get(path, **JSON),
        client.get("/jobs/"),
        client.get("/jobs/", **JSON),
    ]
    asked += [
        client.post(f"{path}{verb}/", **how) for verb in ("cancel", "ready") for how in (JSON, {})
    ]
    asked += [browser().get(path), browser().post(f"{path}ready/")]
    return [
        f"{answer.request['PATH_INFO']} {answer.headers} {answer.content.decode()}"
        for answer in asked
    ]


def search(texts, **secrets):
    """Return which secrets stand in which texts."""
    return [
        (name, text[:300]) for name, secret in secrets.items() for text in texts if secret in text
    ]


@pytest.mark.parametrize("make", MAKERS)
def test_no_page_frame_header_or_address_holds_a_secret(make):
    owner = browser(SESSION)
    secrets = {
        "token": TOKEN,
        "data": SECRET,
        "key": project_settings.SECRET_KEY,
        "session": owner.session.session_key,
    }
    with capture_events() as frames:
        texts = answers(owner, make())
    assert len(frames) >= 2
    assert search([*texts, *map(json.dumps, frames)], **secrets) == []


@pytest.mark.parametrize("make", MAKERS)
def test_no_log_line_holds_a_secret_but_the_exception_under_its_reference(make, caplog):
    caplog.set_level(logging.DEBUG)
    owner = browser(SESSION)
    job = make()
    answers(owner, job)
    pages = [owner.get(f"/jobs/{job.id}/").content.decode()]
    logged = [
        record for record in caplog.records if record.name.startswith(("jobs", "django.request"))
    ]
    lines = [
        f"{record.getMessage()} {record.exc_text or ''} {record.__dict__.get('stack_info')}"
        for record in logged
    ]
    shown = pages[0].partition('data-ticket="')[2].partition('"')[0]
    secrets = {
        "token": TOKEN,
        "key": project_settings.SECRET_KEY,
        "session": owner.session.session_key,
    }
    assert search(lines, **secrets, **({"ticket": shown} if shown else {})) == []
    told = [record for record in logged if SECRET in caplog.handler.format(record)]
    assert all(f"job {job.id} failed (reference " in record.getMessage() for record in told)
    assert len(told) == (make is failed)


def test_a_ticket_stands_in_the_page_alone_and_never_in_an_address():
    job = running()
    page = browser(SESSION).get(f"/jobs/{job.id}/")
    shown = page.content.decode().partition('data-ticket="')[2].partition('"')[0]
    assert shown and page.content.decode().count(shown) == 1
    assert (
        search([str(page.headers), json.dumps(page.headers.get("Location", ""))], ticket=shown)
        == []
    )
    bearer = browser().get(f"/jobs/{job.id}/", HTTP_X_JOB_TICKET=shown)
    assert bearer.status_code == 200 and search([str(bearer.headers)], ticket=shown) == []


@pytest.mark.usefixtures("nothing_left")
async def test_no_frame_of_a_socket_holds_a_secret(caplog):
    caplog.set_level(logging.DEBUG, "jobs")
    job = await sync_to_async(running)()
    borne = ticket(f"job:{job.id}")
    async with JobCommunicator(dict(SESSION)) as page, JobCommunicator({}) as bearer:
        heard = [await page.subscribe(mine=True), await page.next()]
        heard += [await bearer.subscribe(job=job.id, ticket=borne), await bearer.next()]
        heard += [await page.subscribe(tag="nobody's"), await bearer.subscribe(mine=True)]
        await sync_to_async(job.complete)()
        heard += [await page.next(), await bearer.next()]
    assert [frame["event"] for frame in heard].count("ready") >= 1
    lines = [record.getMessage() for record in caplog.records]
    assert search([*map(json.dumps, heard), *lines], token=TOKEN, data=SECRET, ticket=borne) == []


def test_staff_see_jobs_and_figures_and_no_secret():
    jobs = [make() for make in MAKERS]
    sam = browser(user=staff("sam", "view_job"))
    paths = [
        "/admin/jobs/jobrecord/",
        "/admin/jobs/jobrecord/alive/",
        "/admin/jobs/jobrecord/summary/",
    ]
    paths += [f"/admin/jobs/jobrecord/{job.id}/change/" for job in jobs if job.is_ended]
    seen = [sam.get(path) for path in paths]
    assert {page.status_code for page in seen} == {200}
    texts = [page.content.decode() for page in seen]
    texts += [metrics.expose(RequestFactory().get("/metrics/")).content.decode()]
    assert search(texts, token=TOKEN, data=SECRET) == []


def test_a_redis_that_does_not_answer_is_named_without_its_password(settings, caplog):
    caplog.set_level(logging.DEBUG)
    job = running()
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    page = browser(SESSION).get(f"/jobs/{job.id}/")
    findings = [str(finding) for finding in walk.take_steps()]
    lines = [
        caplog.handler.format(record)
        for record in caplog.records
        if record.name.startswith("jobs")
    ]
    assert page.status_code == 503 and any("store" in finding for finding in findings)
    assert search([page.content.decode(), *findings, *lines], password=PASSWORD) == []
