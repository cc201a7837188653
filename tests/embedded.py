"""A pytest plugin: a Redis for the tests, started before Django reads its settings.

Every test starts with an empty Redis. So the tests must never see the shell's own REDIS_URL.
They see none of the shell's other settings either.
"""

import os

import pytest
import redis
from django.conf import settings

from project.demo.embedded import EmbeddedServer

SETTINGS = ("DATABASE_URL", "DEBUG", "SECRET_KEY", "ALLOWED_HOSTS", "DJANGO_SETTINGS_MODULE")

server = EmbeddedServer()


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests():
    """Start the server. A wrapper runs before the hook that loads Django's settings."""
    server.start()
    for name in SETTINGS:
        os.environ.pop(name, None)
    os.environ.update(
        REDIS_URL=server.url, CELERY_BROKER_URL=server.database_url(1), DEMO_PACE="0"
    )
    return (yield)


def pytest_configure():
    """Hash passwords fast, because a good hash takes a third of a second on purpose."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def pytest_unconfigure():
    """Stop the server."""
    server.stop()


@pytest.fixture(scope="session")
def redis_client():
    """Return a client of the tests' own Redis."""
    with redis.Redis.from_url(server.url) as client:
        yield client


@pytest.fixture(autouse=True)
def empty_redis(redis_client):
    """Let every test start with an empty Redis."""
    redis_client.flushall()
