"""A job task has a handler that is loaded, and a task with a handler is a job task."""

import pytest
from celery import shared_task

from jobs.checks.handlers import check_handlers
from tests.tasks import send_parcel

pytestmark = pytest.mark.usefixtures("only_send_parcel")


def test_a_task_whose_handler_is_loaded_is_fine():
    assert check_handlers() == []


def test_a_task_whose_handler_is_not_loaded_is_an_error(monkeypatch):
    monkeypatch.setattr(send_parcel, "handler_class", "tests.handlers.Misspelt")
    (error,) = check_handlers()
    assert error.id == "jobs.E005"
    assert "tests.tasks.send_parcel" in error.msg and "tests.handlers.Misspelt" in error.hint


def test_a_task_with_a_handler_must_be_a_job_task():
    @shared_task(name="shop.tasks.pack", handler_class="tests.handlers.PostHandler")
    def pack():
        """Pack."""

    (error,) = check_handlers()
    pack.app.tasks.unregister("shop.tasks.pack")
    assert error.id == "jobs.E007" and "shop.tasks.pack" in error.msg and "@job_task" in error.hint
