"""What carries on with a job's work: the parts of a canvas, or the tasks that replace a run.

A part is an ordinary task with a header that names the job.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from celery import Task
from celery.canvas import Signature, _chain, chord, group

from jobs import signals
from jobs.core import events, transitions
from jobs.job import Job
from jobs.lifecycle.announce import send_signal
from jobs.states import JobState

from .app import celery_app
from .headers import HEADER, PART, header_of
from .run import Run


def job_parts(canvas: Signature, kind: type[Task]) -> list[Signature]:
    """Return the tasks of a canvas; raises `TypeError` for one that is not of this kind."""
    parts = list(_parts(canvas))
    for part in parts:
        task = celery_app().tasks.get(part.task)
        if task is not None and not isinstance(task, kind):
            raise TypeError(
                f"{part.task} is no JobTask, so nobody would learn of its end; make it one with @job_task."
            )
    return parts


def name_job(parts: Iterable[Signature], job_id: str) -> None:
    """Make the tasks parts of this job."""
    for part in parts:
        _add_header(part, PART, job_id)


def begin_part(job: Job) -> None:
    """Begin a part of a canvas; the first one starts the job.

    Raises `JobEnded`, and `JobCancelled` if the job was asked to stop.
    """
    step = job.apply(transitions.start_part)
    if step.event == events.STARTED:
        send_signal(signals.job_started, job)


def finish_part(job: Job, task_id: str) -> None:
    """Count a part that has ended well, once; the last one completes the job."""
    job.apply(transitions.end_part(task_id))
    if job.is_ended:
        job.stored.announce_ended()


def hand_on(run: Run, stored: Job, successor: Signature, kind: type[Task], task_id: str) -> None:
    """Let the stored job go on with what replaces its run, before that is sent.

    Raises `TypeError` as `job_parts`, `JobCancelled` if the job was asked to stop, and `JobError`.
    """
    parts = job_parts(successor, kind)
    if run.is_part:
        _replace_part(stored, parts, task_id)
    elif parts == [successor]:
        stored.hand_over()
        _add_header(successor, HEADER, header_of(stored, successor.kwargs))
    elif parts:
        stored.hand_over(len(parts))
        name_job(parts, stored.id)
    else:
        stored.end(JobState.COMPLETE)


def add_parts(stored: Job, more: Signature, kind: type[Task]) -> None:
    """Let the stored job, which is a canvas, wait for these tasks too; raises as `hand_on`."""
    parts = job_parts(more, kind)
    stored.apply(transitions.add_parts(len(parts)))
    name_job(parts, stored.id)


def _replace_part(stored: Job, parts: list[Signature], task_id: str) -> None:
    if not parts:
        finish_part(stored, task_id)
    elif len(parts) > 1:
        stored.apply(transitions.add_parts(len(parts) - 1))
    name_job(parts, stored.id)


def _add_header(signature: Signature, name: str, value: Any) -> None:
    signature.set(headers={**(signature.options.get("headers") or {}), name: value})


def _parts(canvas: Signature) -> Iterator[Signature]:
    if isinstance(canvas, chord):
        yield from _parts(canvas.tasks if isinstance(canvas.tasks, group) else group(canvas.tasks))
        yield from _parts(canvas.body)
    elif isinstance(canvas, group | _chain):
        for task in canvas.tasks:
            yield from _parts(task)
    else:
        yield canvas
