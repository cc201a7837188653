"""Fixtures for both ways through the channel layer."""

import asyncio

import pytest
from channels.layers import channel_layers

from jobs.push import hub as hub_module
from jobs.push import layer_connection
from jobs.push.hub import Hub

from .watchers import IN_MEMORY, PUBSUB, Page

TOPIC = "job:parcel-1"


@pytest.fixture
def use_layer(settings):
    """Return a function that gives the project another channel layer, on the tests' Redis."""

    def use(backend=PUBSUB, **config):
        if backend != IN_MEMORY:
            config = {"hosts": [settings.JOBS["REDIS_URL"]], **config}
        settings.CHANNEL_LAYERS = {"default": {"BACKEND": backend, "CONFIG": config}}

    yield use
    channel_layers.backends.clear()


@pytest.fixture
def no_layer(settings):
    """Take the project's channel layer away."""
    settings.CHANNEL_LAYERS = {}
    channel_layers.backends.clear()
    yield
    channel_layers.backends.clear()


@pytest.fixture
async def watch():
    """Return a function that has a page watch topics of a new hub, and stop the hub at the end."""
    here, watching = Hub(), []

    async def start(*topics, page=None):
        page = page or Page()
        for topic in topics or [TOPIC]:
            await here.watch(topic, page)
            watching.append((topic, page))
        return page

    start.hub = here
    yield start
    for topic, page in watching:
        await here.unwatch(topic, page)
    left = [repr(task) for task in asyncio.all_tasks()]
    assert [task for task in left if "Hub" in task or "LayerConnection" in task] == []


@pytest.fixture
def quick(monkeypatch):
    """Let the hub notice within the test that it hears nothing."""
    monkeypatch.setattr(hub_module, "BEAT_SECONDS", 0.03)
    monkeypatch.setattr(hub_module, "DEAF_AFTER", 0.15)
    monkeypatch.setattr(layer_connection, "LAYER_TIMEOUT", 0.5)
    monkeypatch.setattr(layer_connection, "LISTEN_PAUSE", 0.01)


@pytest.fixture
def layers(monkeypatch):
    """Return the layers that hubs open during the test."""
    opened, really_open = [], layer_connection.new_layer

    def open_layer():
        opened.append(really_open())
        return opened[-1]

    monkeypatch.setattr(layer_connection, "new_layer", open_layer)
    return opened
