"""A canvas is one job with one end. It runs here in eager mode, in `system/` in a real worker."""

import pytest
from celery import chain, chord, group, shared_task

from jobs.canvas import start_canvas
from jobs.exceptions import JobError
from jobs.queues.celery.canvas_parts import begin_part, finish_part
from jobs.repository import JobRepository
from jobs.tasks import job_task
from project.celery import app

pytestmark = pytest.mark.django_db(transaction=True)


@job_task()
def part(self, number):
    """Do a part; 13 brings bad luck."""
    if number == 13:
        raise JobError("13 brings bad luck.")
    return number


@job_task()
def summary(self, *results):
    """Do what comes after other parts."""


@shared_task
def plain():
    """Be no JobTask."""


@pytest.fixture(autouse=True)
def eager():
    app.conf.task_always_eager = True
    yield
    app.conf.task_always_eager = False


@pytest.mark.parametrize(
    ("canvas", "parts"),
    [
        (group(part.s(1), part.s(2), part.s(3)), 3),
        (chain(part.s(1), summary.s(), summary.s()), 3),
        (chord([part.s(1), part.s(2)], summary.s()), 3),
        (group(chain(part.s(1), summary.s()), part.s(2)), 3),
        (part.s(1), 1),
        (group([]), None),
    ],
)
def test_a_canvas_is_ready_when_its_last_part_has_ended(canvas, parts):
    job = start_canvas(None, canvas).refresh()
    assert (job.state, job.error) == ("complete", "")
    assert (job.progress.total, len(job.record.parts)) == (parts, parts or 0)


def test_a_canvas_fails_with_the_first_part_that_does():
    job = start_canvas(None, group(part.s(1), part.s(13), part.s(3))).refresh()
    assert (job.state, job.error) == ("failed", "13 brings bad luck.")
    assert job.progress.percent == 33


def test_a_part_that_is_counted_twice_counts_once():
    job = JobRepository().create()
    job.record = job.record.replace(total=2)
    begin_part(job)
    for _redelivery in range(3):
        finish_part(job, "task-1")
    assert (job.refresh().state, job.progress.current) == ("running", 1)


def test_a_part_that_is_no_job_task_is_refused():
    with pytest.raises(TypeError, match="plain is no JobTask"):
        start_canvas(None, group(part.s(1), plain.s()))


def test_a_cancelled_canvas_runs_no_further_part():
    job = JobRepository().create()
    job.cancel()
    part.apply((1,), headers={"jobs_part": job.id})
    assert (job.refresh().state, job.record.parts) == ("cancelled", frozenset())
