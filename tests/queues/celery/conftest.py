"""Fixtures for tests of the worker's parent process."""

import pytest
from celery.worker import state as worker_state

from jobs.queues.celery.parent import JobRequest
from project.celery import app
from tests.tasks import send_parcel

from .played_parent import after_the_parent_thread


@pytest.fixture(autouse=True)
def finished_parent_thread(request):
    """Let the parent's thread finish its work while the test's database is still there."""
    request.getfixturevalue("database_file")
    yield
    after_the_parent_thread(lambda: None)
    worker_state.active_requests.clear()  # or a heart beats for them in all later tests


@pytest.fixture
def received():
    """Return a function that sends a job and returns it with the parent's request of its task."""
    with app.connection_for_read() as connection, connection.SimpleQueue("celery") as queue:

        def receive(plain=False, **options):
            if plain:
                send_parcel.delay("books")
                job = None
            else:
                job = send_parcel.submit_job(None, ["books"], **options)
            message = queue.get(timeout=3)
            message.ack()
            request = JobRequest(message, app=app, task=send_parcel, hostname="worker@here")
            return job, request

        yield receive
