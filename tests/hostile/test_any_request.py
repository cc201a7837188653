"""Any request at all, with any headers (FAULTS.md H15)."""

from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from jobs.access import ticket
from tests.factories import ANN, browser, ended_job

pytestmark = pytest.mark.usefixtures("database_file")


@pytest.fixture
def ann():
    """Return the browser of Ann, who owns the jobs."""
    return browser(ANN)


hosts = st.sampled_from(
    [
        "testserver",
        "evil.example",
        "testserver:99999",
        "[::1]",
        "a b",
        "",
        "x" * 300,
        "testserver,evil.example",
    ]
)
headers = st.dictionaries(
    st.sampled_from(
        [
            "HTTP_ACCEPT",
            "HTTP_X_JOB_TICKET",
            "HTTP_X_REQUESTED_WITH",
            "HTTP_X_HTTP_METHOD_OVERRIDE",
            "HTTP_COOKIE",
            "HTTP_ACCEPT_LANGUAGE",
            "CONTENT_TYPE",
            "HTTP_IF_NONE_MATCH",
            "HTTP_RANGE",
            "HTTP_X_FORWARDED_HOST",
        ]
    ),
    st.one_of(
        st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"])),
        st.sampled_from(
            [
                "*/*",
                "application/json",
                "text/html;q=0",
                "application/json;q=x",
                "a/b;c=d;q=0.5, */*;q=nan",
                "DELETE",
                "multipart/form-data",
                "multipart/form-data; boundary=x",
                "application/json; charset=klingon",
                "bytes=0-",
            ]
        ),
    ),
    max_size=4,
)
paths = st.one_of(
    st.sampled_from(
        [
            "",
            "?",
            "celery/",
            "x/ready/",
            "x/cancel/",
            "x/ready",
            "x//ready/",
            "../",
            "x/%0a/",
            "?page=-1&page=%00",
        ]
    ),
    st.text(max_size=20).map(lambda text: quote(text, errors="replace")),
)


@hypothesis_settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    method=st.sampled_from(
        ["GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "BREW"]
    ),
    path=paths,
    host=hosts,
    headers=headers,
    body=st.binary(max_size=50),
    own=st.booleans(),
)
def test_h15_no_request_is_answered_with_a_server_error(method, path, host, headers, body, own):
    client = browser(ANN)
    client.raise_request_exception = False
    if own:
        path = f"{ended_job().id}/{path.partition('/')[2]}"
    answer = client.generic(method, f"/jobs/{path}", body, HTTP_HOST=host, **headers)
    assert answer.status_code < 500, (answer.status_code, answer.content[-2000:])
    assert "evil.example" not in answer.headers.get("Location", "")


def test_h15_a_ticket_in_a_broken_form_is_no_server_error(ann):
    job = ended_job()
    for kind in (
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded; charset=klingon",
    ):
        answer = browser().generic(
            "POST", f"/jobs/{job.id}/ready/", b"\xff--x\r\n\r\nticket=", content_type=kind
        )
        assert answer.status_code in (400, 404)
    assert (
        browser().get(f"/jobs/{job.id}/", HTTP_X_JOB_TICKET=ticket(f"job:{job.id}")).status_code
        == 200
    )
