"""Our lines in the log: one line each, with the id of the job that they are about.

So one job can be followed through all the logs. Clients choose much of what is logged: actions,
ids, texts. A line break in them must not begin a line that looks like one of the log's own.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_job_id: ContextVar[str] = ContextVar("jobs_job_id", default="")

NOTHING = "-"  # what stands in place of an id


def get_logger(name: str) -> logging.Logger:
    """Return a logger that escapes control characters, line breaks among them, in its arguments.

    Every module of ours logs through one.
    """
    logger = logging.getLogger(name)
    logger.addFilter(_escape_record)
    return logger


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
            record.job_id = _escaped(_job_id.get()) or _named_by(record) or NOTHING
        return True


def _named_by(record: logging.LogRecord) -> str:
    """Return the id that a line of ours begins with."""
    is_ours = record.name.startswith("jobs.") and str(record.msg).startswith("job %s")
    return (
        str(record.args[0]) if is_ours and isinstance(record.args, tuple) and record.args else ""
    )


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
    if record.exc_info and not record.exc_text:  # a formatter uses the text if there is one
        lines = logging.Formatter().formatException(record.exc_info).split("\n")
        record.exc_text = "\n".join(f"  {_escaped(line)}" for line in lines)
    return True


def _on_one_line(value: Any) -> Any:
    is_harmless = isinstance(value, int | float) or (
        isinstance(value, str) and value.isprintable()
    )
    return value if is_harmless else _Escaped(value)


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
