"""With CELERY_TASK_ALWAYS_EAGER a job has really ended when its start returns."""

import asyncio

import pytest
from asgiref.sync import async_to_sync
from celery import chain
from django.contrib.auth.models import Group

from jobs.canvas import start_canvas
from jobs.states import JobState
from jobs.tasks import job_task
from project.celery import app
from tests import tasks
from tests.factories import again
from tests.tasks import send_parcel, stumble, try_again, wait_for_cancel

pytestmark = pytest.mark.usefixtures("database_file")


@job_task(name="tests.use_a_loop_and_the_orm")
def use_a_loop_and_the_orm(self):
    """Do what an event loop forbids."""

    async def one():
        return 1

    self.job.data["groups"] = Group.objects.count() + async_to_sync(one)()


@pytest.fixture(autouse=True, params=[False, True], ids=["", "propagates"])
def eager(request):
    tasks.RUNS.clear()
    app.conf.task_always_eager, app.conf.task_eager_propagates = True, request.param
    yield
    app.conf.task_always_eager = app.conf.task_eager_propagates = False


@pytest.mark.parametrize(
    ("start", "state", "attempts", "error"),
    [
        (lambda: send_parcel.start_job(None, "books"), "complete", 1, ""),
        (lambda: send_parcel.start_job(None, "stones", 99), "failed", 1, "stones is too heavy."),
        (lambda: stumble.start_job(None, secret="x"), "failed", 1, "Something went wrong"),
        (lambda: try_again.start_job(None, countdown=30), "failed", 3, "Something went wrong"),
        (lambda: wait_for_cancel.start_job(None), "cancelled", 1, ""),
    ],
)
def test_f51_a_job_has_its_real_end_in_eager_mode(start, state, attempts, error, caplog):
    job = start()
    assert (job.state, job.attempt) == (state, attempts) and job.error.startswith(error)
    assert again(job).state is job.state and "broker" not in caplog.text


def test_a_part_that_fails_is_not_reported_as_a_broker_error(caplog):
    job = start_canvas(None, chain(send_parcel.si("stones", weight=99), send_parcel.si("books")))
    assert (job.state, job.error) == (
        "failed",
        "stones is too heavy.",
    ) and "broker" not in caplog.text


def test_a_job_is_run_inside_an_event_loop():
    async def start():
        return use_a_loop_and_the_orm.start_job(None)

    job = asyncio.run(start())
    assert (job.state, dict(job.data)) == (JobState.COMPLETE, {"groups": 1})


def test_a_plain_task_raises_as_celery_says(request):
    if app.conf.task_eager_propagates:
        with pytest.raises(tasks.TooHeavy):
            send_parcel.delay("stones", weight=99)
    else:
        assert send_parcel.delay("stones", weight=99).failed()
