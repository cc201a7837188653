"""What the recipes of docs/frontend.md ask of the server.

tests/system/test_host.py tries them in a browser.
"""

import pytest
from django.http import Http404
from django.urls import include, path

from jobs.states import JobState
from tests.factories import ANN, BOB, JSON, browser, create_job, ended_job, request_of

from .recipes import export_status

pytestmark = pytest.mark.django_db

urlpatterns = [
    path("jobs/", include("jobs.urls")),
    path("exports/<str:job_id>/", export_status, name="export_status"),
]


@pytest.fixture
def ask(settings):
    """Return a function that sends a request like HTMX."""
    settings.ROOT_URLCONF = "tests.docs.test_recipes"
    headers = {"HX-Request": "true"}
    return lambda job, session=ANN: export_status(request_of(session, headers=headers), job.id)


def test_htmx_polls_while_the_job_runs(ask):
    job = create_job(handler_class="jobs.handlers.JobHandler")
    job.start()
    job.set_progress(1, 4)
    answer = ask(job)
    assert answer.status_code == 200
    assert f'hx-get="/exports/{job.id}/"' in answer.text and "25 %" in answer.text


def test_htmx_stops_at_the_end_and_shows_a_link(ask):
    answer = ask(job := ended_job())
    assert f'href="/jobs/{job.id}/"' in answer.text
    assert "hx-get" not in answer.text


def test_htmx_shows_strangers_nothing(ask):
    with pytest.raises(Http404):
        ask(create_job(), BOB)


def test_fetch_learns_when_to_poll_until_the_end():
    job = create_job()
    client = browser(ANN)
    answer = client.get(f"/jobs/{job.id}/", **JSON)
    assert (answer.status_code, int(answer["Retry-After"]) > 0) == (202, True)
    job.start()
    job.end(JobState.COMPLETE)
    answer = client.get(f"/jobs/{job.id}/", **JSON)
    assert (answer.status_code, answer.json()["job"]["state"]) == (200, "complete")
    assert "Retry-After" not in answer


def test_a_plain_form_needs_no_script_from_start_to_end():
    client = browser(ANN)
    job = create_job()
    assert f'action="/jobs/{job.id}/ready/"' in client.get(f"/jobs/{job.id}/").content.decode()
    assert client.post(f"/jobs/{job.id}/ready/")["Location"] == f"/jobs/{job.id}/"
    job.start()
    job.end(JobState.COMPLETE)
    assert client.post(f"/jobs/{job.id}/ready/")["Location"] == "/parcels/"
