"""Where a socket may be opened from: the same rule as Django's for unsafe requests."""

import pytest

from jobs.live.origin import is_same_origin


def opened(origin="http://testserver", host="testserver", scheme="ws", more=()):
    headers = [(b"host", host.encode())] if host is not None else []
    headers += [(b"origin", origin.encode())] if origin is not None else []
    return is_same_origin({"scheme": scheme, "headers": [*headers, *more]})


@pytest.mark.parametrize(
    ("origin", "host", "scheme"),
    [
        ("http://testserver", "testserver", "ws"),
        ("https://testserver", "testserver", "wss"),
        ("http://testserver:8000", "testserver:8000", "ws"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000", "ws"),
        ("http://[::1]:8000", "[::1]:8000", "ws"),
    ],
)
def test_a_page_of_this_very_place_may(settings, origin, host, scheme):
    settings.ALLOWED_HOSTS = ["testserver", "127.0.0.1", "[::1]"]
    assert opened(origin, host, scheme)


@pytest.mark.parametrize(
    ("origin", "host", "scheme"),
    [
        (None, "testserver", "ws"),
        ("", "testserver", "ws"),
        ("null", "testserver", "ws"),
        ("https://testserver", "testserver", "ws"),
        ("http://testserver", "testserver", "wss"),
        ("http://testserver:8001", "testserver:8000", "ws"),
        ("http://testserver:8000", "testserver", "ws"),
        ("http://evil.example", "testserver", "ws"),
        ("http://testserver.evil.example", "testserver", "ws"),
        ("http://eviltestserver", "testserver", "ws"),
        ("http://testserver/", "testserver", "ws"),
        ("http://user@testserver", "testserver", "ws"),
        ("http://testserver ", "testserver", "ws"),
        ("testserver", "testserver", "ws"),
        ("http://evil.example", "evil.example", "ws"),
        ("http://testserver", None, "ws"),
        ("http://", "", "ws"),
        ("file://", "testserver", "ws"),
        ("http://testsérver", "testserver", "ws"),
    ],
)
def test_any_other_may_not(origin, host, scheme):
    assert not opened(origin, host, scheme)


@pytest.mark.parametrize("header", [(b"origin", b"http://testserver"), (b"host", b"testserver")])
def test_a_header_that_is_there_twice_is_ignored(header):
    assert not opened(more=[header])


def test_the_names_of_headers_may_be_in_capitals():
    assert is_same_origin(
        {"headers": [(b"Host", b"testserver"), (b"Origin", b"http://testserver")]}
    )


@pytest.mark.parametrize(
    ("origin", "trusted"),
    [
        ("https://school.example", True),
        ("https://www.pupils.example", True),
        ("https://a.b.pupils.example", True),
        ("https://pupils.example", True),
        ("https://school.example:8443", False),
        ("http://school.example", False),
        ("http://www.pupils.example", False),
        ("https://evilpupils.example", False),
        ("https://pupils.example.evil", False),
    ],
)
def test_trusted_origins_of_the_project_may(settings, origin, trusted):
    settings.CSRF_TRUSTED_ORIGINS = ["https://school.example", "https://*.pupils.example"]
    assert opened(origin) is trusted


def test_behind_a_proxy_its_forwarded_scheme_and_host_count(settings):
    forwarded = [(b"x-forwarded-proto", b"https"), (b"x-forwarded-host", b"school.example")]
    assert not opened("https://school.example", "inner", more=forwarded)
    settings.ALLOWED_HOSTS = ["school.example"]
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.USE_X_FORWARDED_HOST = True
    assert opened("https://school.example", "inner", more=forwarded)
    assert not opened("http://school.example", "inner", more=forwarded)
