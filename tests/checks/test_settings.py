"""What is wrong with the settings is said at start-up, with ids that stay."""

import pytest
from django.core.checks import run_checks

from jobs.checks import settings
from jobs.checks.settings import check_celery, check_channel_layer, check_routes, check_settings

PUBSUB = "channels_redis.pubsub.RedisPubSubChannelLayer"
CORE = "channels_redis.core.RedisChannelLayer"
IN_MEMORY = "channels.layers.InMemoryChannelLayer"


def ids(messages):
    return [message.id for message in messages]


def of_jobs(messages):
    return [message for message in messages if message.id.startswith("jobs.")]


@pytest.mark.django_db
def test_the_project_has_nothing_to_complain_of():
    assert of_jobs(run_checks()) == []


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, []),
        ({"TLL": 5}, ["jobs.E001"]),
        ({"ttl": 5, "Shards": 1}, ["jobs.E001", "jobs.E001"]),
        ({7: 5}, ["jobs.E001"]),
        ({"TTL": "5"}, ["jobs.E002"]),
        ({"TTL": None}, ["jobs.E002"]),
        ({"TTL": True}, ["jobs.E002"]),
        ({"ARCHIVE": 1}, ["jobs.E002"]),
        ({"REDIS_URL": 6379}, ["jobs.E002"]),
        ({"ALLOWED_REDIRECT_HOSTS": "pay.example"}, ["jobs.E002"]),
        ({"TTL": 0}, ["jobs.E003"]),
        ({"SHARDS": -1}, ["jobs.E003"]),
        ({"PROGRESS_PER_SECOND": 0.0}, ["jobs.E003"]),
        ({"LOST_AFTER": 15}, ["jobs.E003"]),
        ({"HEARTBEAT": 30}, ["jobs.E003"]),
        ({"LOST_AFTER": 1.5, "HEARTBEAT": 0.5}, []),
        ({"PREFIX": 7}, ["jobs.E002"]),
        ({"PREFIX": ""}, ["jobs.E008"]),
        ({"PREFIX": "shop.jobs"}, ["jobs.E008"]),
        ({"PREFIX": "shop:"}, ["jobs.E008"]),
        ({"PREFIX": "{shop}"}, ["jobs.E008"]),
        ({"PREFIX": "büro"}, ["jobs.E008"]),
        ({"PREFIX": "shop\n"}, ["jobs.E008"]),
        ({"PREFIX": "x" * 51}, ["jobs.E008"]),
        ({"PREFIX": "My-Shop_2"}, []),
        ({"START_TIMEOUT": 0.5, "ARCHIVE": False, "ALLOWED_REDIRECT_HOSTS": ["pay.example"]}, []),
    ],
    ids=str,
)
def test_each_key_and_value_of_the_settings_is_looked_at(settings, given, found):
    settings.JOBS = given
    assert ids(check_settings()) == found


@pytest.mark.parametrize(
    ("key", "value"), [("TTL", "5"), ("TLL", 5), ("SHARDS", 0), ("PREFIX", "a.b")]
)
def test_a_message_names_what_was_given(settings, key, value):
    settings.JOBS = {key: value}
    (message,) = check_settings()
    assert repr(key) in message.msg and (repr(value) in message.msg or "keys are" in message.hint)


@pytest.mark.parametrize(
    "value", [["redis://:secret@a"], b"redis://:secret@a", {"url": "redis://:secret@a"}]
)
def test_an_address_of_a_wrong_type_is_named_without_its_password(settings, value):
    settings.JOBS = {"REDIS_URL": value}
    (message,) = check_settings()
    assert message.msg == f"JOBS['REDIS_URL'] is a {type(value).__name__}; it must be a str."


@pytest.mark.parametrize("given", [[], None, "redis://localhost", [("TTL", 5)]], ids=repr)
def test_settings_that_are_no_dict_are_one_clear_error(settings, given):
    settings.JOBS = given
    found = [message.id for check in (check_settings, check_channel_layer) for message in check()]
    assert found[0] == "jobs.E002"


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
def test_a_layer_that_would_lose_frames_is_named(settings, layers, found):
    settings.CHANNEL_LAYERS = layers
    assert ids(check_channel_layer()) == found


@pytest.mark.parametrize("backend", [PUBSUB, CORE])
@pytest.mark.parametrize("host", ["redis://:sec/ret@a:6379", {"address": "redis://:sec/ret@a"}])
def test_a_layer_without_an_address_is_named_without_its_password(settings, backend, host):
    hosts = [{"address": "redis://a", "socket_timeout": 15}, host]
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": backend, "CONFIG": {"hosts": hosts}}}
    (error,) = check_channel_layer()
    assert error.id == "jobs.E006" and "'default'" in error.msg and "sec" not in error.msg


def test_a_project_without_sockets_needs_no_layer(settings):
    settings.CHANNEL_LAYERS, settings.ASGI_APPLICATION = {}, None
    assert check_channel_layer() == []
    settings.CHANNEL_LAYERS = {"other": {"BACKEND": PUBSUB}}
    assert ids(check_channel_layer()) == ["jobs.E004"]


@pytest.mark.parametrize(
    ("timeout", "found"),
    [(15, []), (5.5, []), (5, ["jobs.W002"]), (None, ["jobs.W002"]), (1, ["jobs.W002"])],
)
def test_the_core_layer_needs_patience_on_every_host(settings, timeout, found):
    good = {"address": "redis://a", "socket_timeout": 15}
    hosts = [good, {"address": "redis://b", "socket_timeout": timeout}]
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": CORE, "CONFIG": {"hosts": hosts}}}
    assert ids(check_channel_layer()) == found


def test_the_layer_that_is_looked_at_is_the_one_that_jobs_use(settings):
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": IN_MEMORY}, "jobs": {"BACKEND": PUBSUB}}
    settings.JOBS = {"CHANNEL_LAYER": "jobs"}
    assert check_channel_layer() == []


class StrangersApp:
    """A Celery app as the checks look at it."""

    def __init__(self, main="project", serializer="json", accept=("json",)):
        self.main = main
        self.conf = type(
            "Conf", (), {"task_serializer": serializer, "accept_content": list(accept)}
        )


@pytest.mark.parametrize(
    ("app", "found"),
    [
        (StrangersApp(), []),
        (StrangersApp(main="default"), ["jobs.W004"]),
        (StrangersApp(serializer="pickle"), ["jobs.W003"]),
        (StrangersApp(accept=("json", "pickle")), ["jobs.W003"]),
        (StrangersApp(accept=("application/x-python-serialize",)), ["jobs.W003"]),
    ],
)
def test_a_celery_app_that_is_not_there_or_takes_pickle_is_named(monkeypatch, app, found):
    monkeypatch.setattr(settings, "celery_app", lambda: app)
    assert ids(check_celery()) == found


def test_a_project_without_the_routes_is_told(settings):
    assert check_routes() == []
    settings.ROOT_URLCONF = "project.classrooms.urls"
    assert ids(check_routes()) == ["jobs.W005"]


@pytest.mark.django_db
def test_the_checks_are_run_with_the_project_s(settings):
    settings.JOBS = {"TLL": 5}
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": IN_MEMORY}}
    assert sorted(ids(of_jobs(run_checks()))) == ["jobs.E001", "jobs.W001"]
