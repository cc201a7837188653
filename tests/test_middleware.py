"""A plain page instead of a traceback while Redis is away."""

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from jobs.exceptions import JobNotFound, StoreUnavailable
from jobs.middleware import StoreUnavailableMiddleware

from .factories import NOWHERE, browser


@pytest.fixture
def middleware():
    return StoreUnavailableMiddleware(lambda request: HttpResponse("fine"))


def answer(middleware, request, error=None):
    """Return what the middleware makes of an error; a session and messages are not there in an outage."""
    return middleware.process_exception(request, error or StoreUnavailable("no"))


def test_a_request_that_goes_well_is_passed_on(middleware):
    assert middleware(RequestFactory().get("/")).content == b"fine"


def test_a_store_that_is_away_is_a_503_that_says_when_to_try_again(middleware):
    response = answer(middleware, RequestFactory().get("/parcels/?page=2"))
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert b'href="/parcels/?page=2"' in response.content


@pytest.mark.parametrize("error", [JobNotFound("no"), RuntimeError("no"), OSError("no")])
def test_any_other_error_is_left_alone(middleware, error):
    assert answer(middleware, RequestFactory().get("/"), error) is None


@pytest.mark.parametrize(
    ("referrer", "link"),
    [
        ("http://testserver/form/", "http://testserver/form/"),
        ("http://evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
    ],
)
def test_after_a_form_the_way_back_is_the_page_that_it_was_sent_from(middleware, referrer, link):
    response = answer(
        middleware, RequestFactory().post("/parcels/", headers={"Referer": referrer})
    )
    assert f'href="{link}"'.encode() in response.content


@pytest.mark.usefixtures("database_file")
def test_a_page_that_does_not_expect_the_outage_is_answered_by_it(settings):
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    response = browser().get("/jobs/parcel-1/")
    assert response.status_code == 503
    assert "jobs/unavailable.html" in [template.name for template in response.templates]
