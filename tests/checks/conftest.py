"""Fixtures of the tests of system checks."""

import pytest

from jobs.queues.celery import inspection
from tests import handlers
from tests.tasks import send_parcel


@pytest.fixture
def only_send_parcel(monkeypatch):
    """Hide the tasks of other tests, because some of them have no handler."""
    assert send_parcel.name in inspection.job_tasks()
    assert send_parcel.handler_class.endswith(handlers.PostHandler.__name__)
    monkeypatch.setattr(inspection, "job_tasks", lambda: {send_parcel.name: send_parcel})
