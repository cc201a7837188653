"""Anything at all on every route, by anybody, is never a server error (FAULTS.md H15)."""

import re
from urllib.parse import quote, urlencode

import pytest
from django.urls import URLResolver, get_resolver
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.factories import ANN, browser, ended_job, staff, user

pytestmark = pytest.mark.django_db

NAMES = [
    "q",
    "p",
    "o",
    "e",
    "_popup",
    "state__exact",
    "handler",
    "ended_at__gte",
    "next",
    "page",
    "id",
    "action",
]


def routes(patterns, prefix=""):
    """Return every route below these patterns, such as `jobs/<str:job_id>/ready/`."""
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)
        else:
            yield re.sub(r"\(\?P<(\w+)>.*?\)|[\^$]", r"<\1>", route).replace("<>", "")


def is_ours(route):
    """Say whether it is not one of the admin's own pages."""
    return not route.startswith("admin/") or route.startswith("admin/jobs/")


ROUTES = sorted(filter(is_ours, routes(get_resolver().url_patterns)))

words = st.one_of(
    st.sampled_from(
        [
            "1",
            "0",
            "-1",
            "9" * 30,
            "x",
            "None",
            "..",
            "%00",
            "a%0d%0ab",
            "celery",
            "{}",
            "*",
            "é",
            "'\"",
        ]
    ),
    st.text(max_size=12),
)
parameters = st.dictionaries(st.sampled_from(NAMES), words, max_size=3)
bodies = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([b"target=1", b"job=x&action=cancel", b"ticket=x", b"{}"]),
)


PEOPLE = {
    "nobody": browser,
    "a visitor": lambda: browser(ANN),
    "a user": lambda: browser(user=user("fay")),
    "staff": lambda: browser(user=staff("sam", "view_job", "view_jobrecord")),
    "a superuser": lambda: browser(user=user("root", is_staff=True, is_superuser=True)),
}


@pytest.fixture(params=PEOPLE)
def client(request):
    """Return somebody's browser, with a job to be seen; a view's exception is a status of 500."""
    client = PEOPLE[request.param]()
    client.job_id = ended_job().id
    client.raise_request_exception = False
    return client


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), route=st.sampled_from(ROUTES), query=parameters, body=bodies)
def test_h15_no_route_of_the_project_answers_with_a_server_error(client, data, route, query, body):
    path = re.sub(
        r"<(?:\w+:)?\w+>",
        lambda _: quote(data.draw(words | st.just(client.job_id)), safe=""),
        route,
    )
    method = data.draw(st.sampled_from(["GET", "POST", "HEAD", "PUT", "OPTIONS"]))
    kind = data.draw(
        st.sampled_from(
            ["application/x-www-form-urlencoded", "application/json", "multipart/form-data"]
        )
    )
    answer = client.generic(method, f"/{path}?{urlencode(query)}", body, content_type=kind)
    assert answer.status_code < 500, (method, path, query, answer.content[-1500:])


def test_the_routes_are_found():
    assert {"jobs/<job_id>/ready/", "admin/jobs/jobrecord/alive/"} <= set(ROUTES)
    assert len(ROUTES) > 15
