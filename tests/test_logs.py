"""The job's id in log records of its task and of this app, and the escaping of log lines."""

import io
import logging
from contextvars import copy_context
from pathlib import Path

import pytest
from django.utils.translation import gettext_lazy

import jobs
from jobs.logs import JobIdFilter, get_logger, logs_of
from jobs.tasks import job_task
from jobs.testing import run_job

logger = logging.getLogger("shop.orders")


@job_task
def order(self):
    """Log a line, as any code of a task might."""
    logger.warning("ordered %s", 7)
    return None


@pytest.fixture
def ids(caplog):
    """Return a function that lists the job ids of a logger's captured records."""
    job_id_filter = JobIdFilter()
    caplog.handler.addFilter(job_id_filter)
    yield lambda name: [record.job_id for record in caplog.records if record.name == name]
    caplog.handler.removeFilter(job_id_filter)


@pytest.mark.django_db(transaction=True)
def test_log_records_of_a_task_carry_its_job_id(ids):
    job = run_job(order)
    assert ids("shop.orders") == [job.id]


def test_log_records_outside_a_task_carry_no_job_id(ids):
    logger.warning("no task")
    assert ids("shop.orders") == ["-"]


def test_the_id_ends_with_the_task_even_if_it_fails(ids):
    with pytest.raises(RuntimeError), logs_of("parcel-1"):
        raise RuntimeError("broken")
    logger.warning("after it")
    assert ids("shop.orders") == ["-"]


def test_a_task_inside_a_task_logs_its_own_id(ids):
    with logs_of("outer"):
        with logs_of("inner"):
            logger.warning("one")
        logger.warning("two")
    assert ids("shop.orders") == ["inner", "outer"]


def test_a_copied_context_keeps_the_job_id(ids):
    with logs_of("parcel-1"):
        context = copy_context()
    context.run(logger.warning, "from a thread of the task's own")
    assert ids("shop.orders") == ["parcel-1"]


@pytest.mark.parametrize(
    ("name", "message", "arguments", "found"),
    [
        ("jobs.waiting.claim", "job %s: claimed by %s", ("parcel-1", "ann"), "parcel-1"),
        ("jobs.push.hub", "%d of %d jobs could not be read", (1, 2), "-"),
        ("jobs.push.hub", "job %s", (), "-"),
        ("shop.orders", "job %s: mine, not yours", ("engineer",), "-"),
    ],
)
def test_our_own_lines_about_a_job_carry_its_id(ids, name, message, arguments, found):
    logging.getLogger(name).warning(message, *arguments)
    assert ids(name) == [found]


def test_an_explicit_job_id_stays(ids):
    with logs_of("parcel-1"):
        logger.warning("about another", extra={"job_id": "parcel-2"})
    assert ids("shop.orders") == ["parcel-2"]


def test_a_log_format_can_use_the_job_id():
    record = logging.makeLogRecord({"name": "shop.orders", "msg": "hello"})
    with logs_of("parcel-1"):
        assert JobIdFilter().filter(record)
    assert logging.Formatter("%(job_id)s %(message)s").format(record) == "parcel-1 hello"


FORGED = "x\n2026-11-28 03:00:00 CRITICAL root: all is lost\r\x1b[2J\u2028\x85\ud800"


@pytest.fixture
def ours():
    """Return a logger of ours, and a function that returns what it wrote."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(job_id)s %(message)s"))
    handler.addFilter(JobIdFilter())
    logger = get_logger("jobs.of_this_test")
    logger.addHandler(handler)
    yield logger, stream.getvalue
    logger.removeHandler(handler)


@pytest.mark.parametrize("form", ["%s", "%r"])
@pytest.mark.parametrize(
    "value",
    [FORGED, ValueError(FORGED), gettext_lazy(FORGED), [FORGED]],
    ids=lambda value: type(value).__name__,
)
def test_h23_no_logged_value_breaks_a_line(ours, form, value):
    logger, written = ours
    logger.error(f"job %s: {form} by %d", "parcel-1\nCRITICAL", value, 7)
    line = written()
    assert line.count("\n") == 1 and line.rstrip("\n").isprintable()
    assert (
        line.startswith("ERROR parcel-1\\nCRITICAL job parcel-1\\nCRITICAL: ")
        and "x\\n2026-11-28" in line
    )


def test_h23_a_forged_line_in_a_traceback_is_indented_like_the_rest(ours):
    logger, written = ours
    try:
        raise ValueError(FORGED)
    except ValueError:
        logger.exception("job %s: failed", "parcel-1")
    first, *rest = written().rstrip("\n").split("\n")
    assert first == "ERROR parcel-1 job parcel-1: failed" and rest[-1].startswith(
        "  2026-11-28 03:00:00 CRITICAL"
    )
    assert all(line.startswith("  ") and line.isprintable() for line in rest)


def test_h23_a_job_id_with_a_line_break_stays_on_one_line(ours):
    logger, written = ours
    with logs_of("parcel-1\nCRITICAL root: all is lost"):
        logger.error("hello")
    assert written() == "ERROR parcel-1\\nCRITICAL root: all is lost hello\n"


def test_harmless_values_are_logged_unchanged(ours):
    logger, written = ours
    logger.error("job %s: %5.1f of %d, %r, %s", "parcel-1", 1.25, 3, "a\\b", "größer 😀")
    assert written() == "ERROR parcel-1 job parcel-1:   1.2 of 3, 'a\\\\b', größer 😀\n"


def test_every_module_of_the_app_logs_through_an_escaping_logger():
    users = {
        file.name
        for file in Path(jobs.__file__).parent.rglob("*.py")
        if "getLogger" in file.read_text()
    }
    assert users == {"logs.py"}
