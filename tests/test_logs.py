"""The id of the job stands on what its task logs, and on our own lines about a job."""

import logging
from contextvars import copy_context

import pytest

from jobs.logs import JobIdFilter, logs_of
from jobs.tasks import job_task
from jobs.testing import run_job

logger = logging.getLogger("shop.orders")


@job_task
def order(self):
    """Say something, as any code of a task would."""
    logger.warning("ordered %s", 7)
    return None


@pytest.fixture
def ids(caplog):
    """Return a function that tells which job each captured record is of."""
    job_id_filter = JobIdFilter()
    caplog.handler.addFilter(job_id_filter)
    yield lambda name: [record.job_id for record in caplog.records if record.name == name]
    caplog.handler.removeFilter(job_id_filter)


@pytest.mark.django_db(transaction=True)
def test_what_a_task_logs_carries_its_job(ids):
    job = run_job(order)
    assert ids("shop.orders") == [job.id]


def test_what_is_logged_outside_of_a_task_carries_none(ids):
    logger.warning("no task")
    assert ids("shop.orders") == ["-"]


def test_the_id_ends_with_the_task_even_if_it_fails(ids):
    with pytest.raises(RuntimeError), logs_of("parcel-1"):
        raise RuntimeError("broken")
    logger.warning("after it")
    assert ids("shop.orders") == ["-"]


def test_a_task_inside_a_task_is_told_apart(ids):
    with logs_of("outer"):
        with logs_of("inner"):
            logger.warning("one")
        logger.warning("two")
    assert ids("shop.orders") == ["inner", "outer"]


def test_a_copied_context_knows_the_job(ids):
    with logs_of("parcel-1"):
        context = copy_context()
    context.run(logger.warning, "from a thread of the task's own")
    assert ids("shop.orders") == ["parcel-1"]


@pytest.mark.parametrize(
    ("name", "message", "arguments", "found"),
    [
        ("jobs.claim", "job %s: claimed by %s", ("parcel-1", "ann"), "parcel-1"),
        ("jobs.hub", "%d of %d jobs could not be read", (1, 2), "-"),
        ("jobs.hub", "job %s", (), "-"),
        ("shop.orders", "job %s: mine, not yours", ("engineer",), "-"),
    ],
)
def test_our_own_lines_about_a_job_carry_its_id(ids, name, message, arguments, found):
    logging.getLogger(name).warning(message, *arguments)
    assert ids(name) == [found]


def test_an_id_that_was_given_stays(ids):
    with logs_of("parcel-1"):
        logger.warning("about another", extra={"job_id": "parcel-2"})
    assert ids("shop.orders") == ["parcel-2"]


def test_a_format_can_name_it():
    record = logging.makeLogRecord({"name": "shop.orders", "msg": "hello"})
    with logs_of("parcel-1"):
        assert JobIdFilter().filter(record)
    assert logging.Formatter("%(job_id)s %(message)s").format(record) == "parcel-1 hello"
