"""Pages need an ASGI application, and a channel layer that reaches all processes."""

import pytest

from jobs.checks.sockets import check_asgi, check_channel_layer

from .messages import ids

PUBSUB = "channels_redis.pubsub.RedisPubSubChannelLayer"
CORE = "channels_redis.core.RedisChannelLayer"
IN_MEMORY = "channels.layers.InMemoryChannelLayer"


@pytest.mark.parametrize(
    ("layers", "found"),
    [
        ({"default": {"BACKEND": PUBSUB, "CONFIG": {"hosts": ["redis://localhost"]}}}, []),
        ({"default": {"BACKEND": PUBSUB}}, []),
        ({}, ["jobs.E004"]),
        ({"other": {"BACKEND": PUBSUB}}, ["jobs.E004"]),
        ({"default": {"BACKEND": IN_MEMORY}}, ["jobs.W001"]),
        ({"default": {"BACKEND": CORE}}, ["jobs.W002"]),
        (
            {"default": {"BACKEND": CORE, "CONFIG": {"hosts": ["redis://localhost"]}}},
            ["jobs.W002"],
        ),
        (
            {"default": {"BACKEND": CORE, "CONFIG": {"hosts": [("localhost", 6379)]}}},
            ["jobs.W002"],
        ),
    ],
)
def test_a_layer_that_would_lose_frames_is_reported(settings, layers, found):
    settings.CHANNEL_LAYERS = layers
    assert ids(check_channel_layer()) == found


@pytest.mark.parametrize("backend", [PUBSUB, CORE])
@pytest.mark.parametrize("host", ["redis://:sec/ret@a:6379", {"address": "redis://:sec/ret@a"}])
def test_a_malformed_layer_address_never_shows_its_password(settings, backend, host):
    hosts = [{"address": "redis://a", "socket_timeout": 15}, host]
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": backend, "CONFIG": {"hosts": hosts}}}
    (error,) = check_channel_layer()
    assert error.id == "jobs.E006" and "'default'" in error.msg and "sec" not in error.msg


def test_a_project_without_sockets_needs_no_layer(settings):
    settings.CHANNEL_LAYERS, settings.ASGI_APPLICATION = {}, None
    assert check_channel_layer() == []
    settings.CHANNEL_LAYERS = {"other": {"BACKEND": PUBSUB}}
    assert ids(check_channel_layer()) == ["jobs.E004"]


@pytest.mark.parametrize("given", [[], None, "redis://localhost"], ids=repr)
def test_the_default_layer_is_checked_if_jobs_is_not_a_dict(settings, given):
    settings.JOBS = given
    assert check_channel_layer() == []
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": IN_MEMORY}}
    assert ids(check_channel_layer()) == ["jobs.W001"]


@pytest.mark.parametrize(
    ("timeout", "found"),
    [(15, []), (5.5, []), (5, ["jobs.W002"]), (None, ["jobs.W002"]), (1, ["jobs.W002"])],
)
def test_the_core_layer_needs_a_long_timeout_on_every_host(settings, timeout, found):
    good = {"address": "redis://a", "socket_timeout": 15}
    hosts = [good, {"address": "redis://b", "socket_timeout": timeout}]
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": CORE, "CONFIG": {"hosts": hosts}}}
    assert ids(check_channel_layer()) == found


def test_the_layer_that_jobs_use_is_checked(settings):
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": IN_MEMORY}, "jobs": {"BACKEND": PUBSUB}}
    settings.JOBS = {"CHANNEL_LAYER": "jobs"}
    assert check_channel_layer() == []


@pytest.mark.parametrize(
    ("application", "found"), [("project.asgi.application", []), (None, ["jobs.W009"])]
)
def test_a_project_without_an_asgi_application_has_no_sockets(settings, application, found):
    settings.ASGI_APPLICATION = application
    assert ids(check_asgi()) == found
    settings.JOBS = {"SOCKET_PATH": ""}  # none are wanted
    assert check_asgi() == []
