"""A plain page instead of a traceback while Redis does not answer."""

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
    """Return the middleware's answer to an error, for a request without session and messages."""
    return middleware.process_exception(request, error or StoreUnavailable("no"))


def test_a_normal_request_is_passed_on(middleware):
    assert middleware(RequestFactory().get("/")).content == b"fine"


def test_without_the_store_a_request_gets_503_and_retry_after(middleware):
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
def test_after_a_post_the_page_links_back_to_the_form(middleware, referrer, link):
    response = answer(
        middleware, RequestFactory().post("/parcels/", headers={"Referer": referrer})
    )
    assert f'href="{link}"'.encode() in response.content


@pytest.mark.usefixtures("database_file")
def test_a_view_that_lets_the_error_through_gets_the_page(settings):
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    response = browser().get("/jobs/parcel-1/")
    assert response.status_code == 503
    assert "jobs/unavailable.html" in [template.name for template in response.templates]
