"""The id of the job on every log record that its task writes, so that one job can be followed through all the logs."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_job_id: ContextVar[str] = ContextVar("jobs_job_id", default="")

NOTHING = "-"  # what stands in place of an id


@contextmanager
def logs_of(job_id: str) -> Iterator[None]:
    """Let what is logged inside, by anybody, be about this job."""
    token = _job_id.set(job_id)
    try:
        yield
    finally:
        _job_id.reset(token)


class JobIdFilter(logging.Filter):
    """Put `job_id` on each record: of the task that runs here, or of the job that a line of ours names.

    To be put on a handler, since a logger's filter does not see the records of loggers below it. Threads that a task
    starts do not inherit it. What is given as `extra={"job_id": …}` stays.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        if not hasattr(record, "job_id"):
            record.job_id = _job_id.get() or _named_by(record) or NOTHING
        return True


def _named_by(record: logging.LogRecord) -> str:
    """Return the id that a line of ours begins with."""
    is_ours = record.name.startswith("jobs.") and str(record.msg).startswith("job %s")
    return str(record.args[0]) if is_ours and isinstance(record.args, tuple) and record.args else ""
