"""The doctor's step about the channel layer."""

import pytest

from jobs.doctor.channel_layer import try_channel_layer
from jobs.doctor.step import StepFailed
from tests.factories import NOWHERE


def test_a_layer_without_a_server_fails(settings):
    settings.CHANNEL_LAYERS = {
        "default": settings.CHANNEL_LAYERS["default"] | {"CONFIG": {"hosts": [NOWHERE]}}
    }
    with pytest.raises(StepFailed, match="CHANNEL_LAYERS"):
        try_channel_layer()


def test_an_encrypted_layer_is_tried_over_its_own_path(settings):
    config = {
        "hosts": settings.CHANNEL_LAYERS["default"]["CONFIG"]["hosts"],
        "symmetric_encryption_keys": ["secret"],
    }
    settings.CHANNEL_LAYERS = {"default": settings.CHANNEL_LAYERS["default"] | {"CONFIG": config}}
    assert "heard" in try_channel_layer()


@pytest.mark.usefixtures("no_sockets")
def test_a_project_without_sockets_needs_no_layer():
    assert try_channel_layer().startswith("off: ") and "pages poll" in try_channel_layer()
