"""A public site sends no cookies in clear, and its Redis takes a password."""

import pytest

from jobs.checks.deployment import check_cookies, check_redis

from .messages import ids


@pytest.mark.parametrize(
    ("debug", "session", "csrf", "found"),
    [
        (False, True, True, []),
        (False, False, True, ["SESSION_COOKIE_SECURE"]),
        (False, False, False, ["SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE"]),
        (True, False, False, []),
    ],
)
def test_cookies_in_clear_are_a_warning(settings, debug, session, csrf, found):
    settings.DEBUG, settings.SESSION_COOKIE_SECURE, settings.CSRF_COOKIE_SECURE = (
        debug,
        session,
        csrf,
    )
    messages = check_cookies()
    assert ids(messages) == ["jobs.W010"] * bool(found)
    assert all(name in messages[0].hint for name in found)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("redis://localhost:6379/0", []),
        ("redis://[::1]:6379", []),
        ("unix:///run/redis.sock", []),
        ("rediss://:secret@redis.example:6380", []),
        ("redis://user:secret@redis.example", []),
        ("redis://redis.example:6379/0", ["jobs.W011"]),
        ("rediss://redis.example", ["jobs.W011"]),
        ("redis+sentinel://127.0.0.1,localhost:26380/main", []),
        ("redis+sentinel://:secret@one.example,two.example/main", []),
        ("redis+sentinel://one.example,two.example/main", ["jobs.W011"]),
        ("redis+sentinel://one.example", []),  # malformed: another check reports it
    ],
)
def test_a_redis_on_the_network_without_a_password_is_a_warning(settings, url, found):
    settings.JOBS = {"REDIS_URL": url}
    settings.DEBUG = False
    assert ids(check_redis()) == found
    settings.DEBUG = True
    assert check_redis() == []
