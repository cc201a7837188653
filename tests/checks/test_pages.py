"""Pages need routes, a template, sessions, and an answer while Redis is down."""

import pytest
from django.contrib.sessions.middleware import SessionMiddleware

from jobs.checks.pages import check_middleware, check_routes, check_sessions, check_templates
from jobs.middleware import StoreUnavailableMiddleware

from .messages import ids


class OwnOutages(StoreUnavailableMiddleware):
    """A project's own version."""


class OwnSessions(SessionMiddleware):
    """A project's own version."""


def test_missing_routes_are_a_warning(settings):
    assert check_routes() == []
    settings.ROOT_URLCONF = "project.classrooms.urls"
    assert ids(check_routes()) == ["jobs.W005"]


def test_a_waiting_page_without_a_template_is_an_error(settings):
    assert check_templates() == []
    settings.TEMPLATES = [settings.TEMPLATES[0] | {"DIRS": [], "APP_DIRS": False}]
    assert ids(check_templates()) == ["jobs.E010"]
    settings.TEMPLATES = []
    assert ids(check_templates()) == ["jobs.E010"]


@pytest.mark.parametrize(
    ("middleware", "found"),
    [
        (["jobs.middleware.StoreUnavailableMiddleware"], []),
        ([f"{__name__}.OwnOutages"], []),
        (["django.middleware.common.CommonMiddleware"], ["jobs.W007"]),
        (["there.is.none"], ["jobs.W007"]),
        (["django.views.decorators.csrf.csrf_protect"], ["jobs.W007"]),
        ([], ["jobs.W007"]),
    ],
)
def test_a_missing_middleware_for_outages_is_a_warning(settings, middleware, found):
    settings.MIDDLEWARE = middleware
    assert ids(check_middleware()) == found


@pytest.mark.parametrize(
    ("middleware", "found"),
    [
        (["django.contrib.sessions.middleware.SessionMiddleware"], []),
        ([f"{__name__}.OwnSessions"], []),
        (["django.middleware.common.CommonMiddleware", "there.is.none"], ["jobs.W014"]),
    ],
)
def test_a_project_without_sessions_gets_a_warning(settings, middleware, found):
    settings.MIDDLEWARE = middleware
    assert ids(check_sessions()) == found
