"""Fixtures of the doctor's tests."""

import pytest

from jobs.doctor import step
from jobs.queues.celery import inspection
from tests.tasks import send_parcel


@pytest.fixture(autouse=True)
def short_steps(monkeypatch):
    """Let no step wait for long."""
    monkeypatch.setattr(step, "STEP_TIMEOUT", 2.0)


@pytest.fixture
def one_worker(monkeypatch):
    """Let a worker answer that knows every task and serves every queue."""
    monkeypatch.setattr(inspection, "ask_broker", lambda: "redis://broker")
    served = frozenset(filter(None, map(inspection.queue_of, inspection.job_tasks().values())))
    everything = inspection.Worker(frozenset(inspection.job_tasks()), served)
    monkeypatch.setattr(inspection, "ask_workers", lambda: {"celery@here": everything})


@pytest.fixture
def use_broker(monkeypatch):
    """Return a function that gives Celery another broker and opens new connections to it."""

    def use(url):
        app = send_parcel.app
        for name in ("broker_url", "broker_read_url", "broker_write_url"):
            monkeypatch.setitem(app.conf.changes, name, url)
        monkeypatch.setattr(app.amqp, "_producer_pool", None)
        monkeypatch.setattr(app, "_pool", None)

    return use


@pytest.fixture
def no_sockets(settings):
    """Make the project one that WSGI alone serves."""
    settings.CHANNEL_LAYERS, settings.ASGI_APPLICATION = {}, None
