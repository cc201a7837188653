"""The doctor's steps inside its own process: the route and the static files."""

import pytest
from django.contrib.staticfiles import finders

from jobs.doctor.application import find_route, find_static
from jobs.doctor.step import StepFailed


async def deaf_application(scope, receive, send):
    raise ValueError("No application configured for scope type 'websocket'")


@pytest.mark.parametrize(
    ("application", "said"),
    [
        (None, "not set"),
        (f"{__name__}.deaf_application", "No application configured.*with_sockets"),
        ("jobs.routing.none", "no attribute|does not define"),
    ],
)
def test_an_application_that_opens_no_sockets_fails(settings, application, said):
    settings.ASGI_APPLICATION = application
    with pytest.raises(StepFailed, match=said):
        find_route()


@pytest.mark.usefixtures("database_file")
def test_the_application_gets_a_host_that_it_serves(settings):
    settings.ALLOWED_HOSTS = ["*", ".example.org"]
    settings.ASGI_APPLICATION = "jobs.routing.websocket_application"
    assert "opens /ws/jobs/" in find_route()


@pytest.mark.usefixtures("no_sockets")
def test_a_project_without_sockets_needs_no_route():
    assert find_route().startswith("off: ") and "pages poll" in find_route()


def test_missing_static_files_fail(settings):
    settings.STATICFILES_DIRS = []
    finders.get_finder.cache_clear()
    try:
        with pytest.raises(StepFailed, match="INSTALLED_APPS"):
            find_static()
    finally:
        finders.get_finder.cache_clear()
