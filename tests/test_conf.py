"""The settings: one dict, typed, with defaults."""

import dataclasses

import pytest
from django.test.utils import override_script_prefix

from jobs.conf import NAMES, JobsSettings, jobs_settings, socket_path

# The settings table of the design, section 7.
DEFAULTS = {
    "PREFIX": "jobs",
    "CHANNEL_LAYER": "default",
    "SHARDS": 64,
    "TTL": 86400,
    "ARCHIVE": True,
    "ARCHIVE_DAYS": 30,
    "START_TIMEOUT": 3600,
    "HEARTBEAT": 10,
    "LOST_AFTER": 45,
    "RECONCILE_SECONDS": 15,
    "READY_LEASE": 30,
    "TICKET_AGE": 900,
    "PROGRESS_PER_SECOND": 10,
    "MAX_FRAMES_PER_SECOND": 50,
    "MAX_JOBS_PER_SECOND": 100,
    "MAX_FRAME": 4096,
    "MAX_SUBSCRIPTIONS": 100,
    "MAX_DATA": 262144,
    "ALLOWED_REDIRECT_HOSTS": [],
    "SOCKET_PATH": "ws/jobs/",
}


def test_defaults_match_the_settings_table(settings):
    del settings.JOBS
    in_force = dataclasses.asdict(jobs_settings())
    assert in_force.pop("REDIS_URL").startswith("redis://")
    assert in_force == DEFAULTS
    assert {"REDIS_URL", *DEFAULTS} == NAMES


@pytest.mark.parametrize("field", dataclasses.fields(JobsSettings), ids=lambda field: field.name)
def test_every_default_has_its_declared_type(field):
    value = getattr(JobsSettings(), field.name)
    wanted = {"str": str, "bool": bool, "int": int, "float": int | float, "list[str]": list}
    assert isinstance(
        value,
        wanted[getattr(field.type, "__name__", field.type)] if field.type != list[str] else list,
    )


def test_an_overridden_setting_takes_effect_at_once_and_ends_with_the_override(settings):
    settings.JOBS = {"TTL": 5}
    assert jobs_settings().TTL == 5
    settings.JOBS = {}
    assert jobs_settings().TTL == 86400


def test_an_unknown_key_is_ignored(settings):
    settings.JOBS = {"TLL": 5}
    assert jobs_settings().TTL == 86400


def test_settings_cannot_be_changed_by_assignment():
    with pytest.raises(dataclasses.FrozenInstanceError):
        jobs_settings().TTL = 1


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("ws/jobs/", "/shop/ws/jobs/"),
        ("live/ws/jobs/", "/shop/live/ws/jobs/"),
        ("/ws/jobs/", "/ws/jobs/"),
        ("wss://live.example.org/ws/jobs/", "wss://live.example.org/ws/jobs/"),
        ("", ""),
    ],
)
def test_a_relative_socket_path_is_below_the_script_prefix(settings, given, path):
    settings.JOBS = {"SOCKET_PATH": given}
    with override_script_prefix("/shop/"):
        assert socket_path() == path


def test_without_a_prefix_the_socket_is_at_the_root(settings):
    settings.JOBS = {}
    assert socket_path() == "/ws/jobs/"


def test_pages_of_a_project_without_sockets_get_no_path(settings):
    assert socket_path() == "/ws/jobs/"
    settings.ASGI_APPLICATION = None
    assert socket_path() == "/ws/jobs/"  # its channel layer says that an ASGI server has it
    settings.CHANNEL_LAYERS = {}
    assert socket_path() == ""
