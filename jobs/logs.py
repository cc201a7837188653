"""Log records on one line each, with the id of the job that they are about.

The id lets an operator follow one job through all logs. The one line is for security: clients
choose much of what is logged, and a line break of theirs must not begin a forged log line.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_job_id: ContextVar[str] = ContextVar("jobs_job_id", default="")

NO_JOB = "-"  # instead of an id


def get_logger(name: str) -> logging.Logger:
    """Return a logger that escapes control characters in its arguments, such as line breaks.

    Every module of ours logs through such a logger.
    """
    logger = logging.getLogger(name)
    logger.addFilter(_escape_record)
    return logger


@contextmanager
def logs_of(job_id: str) -> Iterator[None]:
    """Mark every log record that is made inside this block as being about this job."""
    token = _job_id.set(job_id)
    try:
        yield
    finally:
        _job_id.reset(token)


class JobIdFilter(logging.Filter):
    """Set `job_id` on each record: the job that runs here, or the job that our text begins with.

    Add it to a handler, because a logger's filter does not see the records of child loggers. It
    does not reach the threads that a task starts. An `extra={"job_id": …}` stays.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        if not hasattr(record, "job_id"):
            record.job_id = _escaped(_job_id.get()) or _named_by(record) or NO_JOB
        return True


def _named_by(record: logging.LogRecord) -> str:
    """Return the id that one of our own texts begins with, or ""."""
    is_ours = record.name.startswith("jobs.") and str(record.msg).startswith("job %s")
    if is_ours and isinstance(record.args, tuple) and record.args:
        return str(record.args[0])
    return ""


class _Escaped:
    """Wrap a logged value so that its text stays on one line."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __str__(self) -> str:
        return _escaped(str(self._value))

    def __repr__(self) -> str:
        return _escaped(repr(self._value))


def _escape_record(record: logging.LogRecord) -> bool:
    if isinstance(record.args, tuple):
        record.args = tuple(map(_on_one_line, record.args))
    if record.exc_info and not record.exc_text:  # a formatter takes a text that is there
        lines = logging.Formatter().formatException(record.exc_info).split("\n")
        record.exc_text = "\n".join(f"  {_escaped(line)}" for line in lines)
    return True


def _on_one_line(value: Any) -> Any:
    if isinstance(value, int | float) or (isinstance(value, str) and value.isprintable()):
        return value
    return _Escaped(value)


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
