"""The project has a Celery app of its own that accepts no pickle and runs no task in a view."""

import pytest

from jobs.checks import celery_app
from jobs.checks.celery_app import check_celery, check_eager
from project.celery import app as project_app

from .messages import ids


class StrangersApp:
    """A Celery app with what the checks look at."""

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
def test_a_missing_celery_app_or_one_that_accepts_pickle_is_a_warning(monkeypatch, app, found):
    monkeypatch.setattr(celery_app, "celery_app", lambda: app)
    assert ids(check_celery()) == found


@pytest.mark.parametrize(("is_on", "found"), [(True, ["jobs.W012"]), (False, [])])
def test_eager_mode_is_a_warning(is_on, found):
    project_app.conf.task_always_eager = is_on
    checked = check_eager()
    project_app.conf.task_always_eager = False
    assert ids(checked) == found
