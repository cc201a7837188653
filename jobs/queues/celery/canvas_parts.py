"""What carries on with a job's work: the parts of a canvas, or the tasks that replace a run.

A part is an ordinary task with a header that names the job.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from celery import Task
from celery.canvas import Signature, _chain, chord, group

from jobs import signals
from jobs.core import event_names, transitions
from jobs.job import Job
from jobs.lifecycle.announce import send_signal
from jobs.states import JobState

from .app import celery_app
from .current_run import Run
from .headers import HEADER, PART, header_of


def parts_of(canvas: Signature, kind: type[Task]) -> list[Signature]:
    """Return the tasks of a canvas. Raises `TypeError` for a task that is not of this kind."""
    parts = list(_tasks_in(canvas))
    for part in parts:
        task = celery_app().tasks.get(part.task)
        if task is not None and not isinstance(task, kind):
            raise TypeError(
                f"{part.task} is no JobTask, so its job would never learn that it has ended. "
                "Make it one with @job_task."
            )
    return parts


def assign_to_job(parts: Iterable[Signature], job_id: str) -> None:
    """Make the tasks parts of this job."""
    for part in parts:
        _add_header(part, PART, job_id)


def begin_part(job: Job) -> None:
    """Begin a part of a canvas; the first part starts the job.

    Raises `JobEnded`, and `JobCancelled` if the job was asked to stop.
    """
    step = job.apply(transitions.start_part)
    if step.event == event_names.STARTED:
        send_signal(signals.job_started, job)


def finish_part(job: Job, task_id: str) -> None:
    """Count a part that has ended well, once; the last part completes the job."""
    job.apply(transitions.end_part(task_id))
    if job.is_ended:
        job.stored.announce_ended()


def replace_run(
    run: Run, stored: Job, successor: Signature, kind: type[Task], task_id: str
) -> None:
    """Prepare the stored job for what replaces its run, before that is sent.

    Raises `TypeError` as `parts_of` does, `JobCancelled` if the job was asked to stop, and
    `JobError`.
    """
    parts = parts_of(successor, kind)
    if run.is_part:
        _replace_part(stored, parts, task_id)
    elif parts == [successor]:
        stored.hand_over()
        _add_header(successor, HEADER, header_of(stored, successor.kwargs))
    elif parts:
        stored.hand_over(len(parts))
        assign_to_job(parts, stored.id)
    else:
        stored.end(JobState.COMPLETE)


def add_parts(stored: Job, more: Signature, kind: type[Task]) -> None:
    """Let the job of a canvas wait for these tasks too; raises as `replace_run` does."""
    parts = parts_of(more, kind)
    stored.apply(transitions.add_parts(len(parts)))
    assign_to_job(parts, stored.id)


def _replace_part(stored: Job, parts: list[Signature], task_id: str) -> None:
    if not parts:
        finish_part(stored, task_id)
    elif len(parts) > 1:
        stored.apply(transitions.add_parts(len(parts) - 1))
    assign_to_job(parts, stored.id)


def _add_header(signature: Signature, name: str, value: Any) -> None:
    signature.set(headers={**(signature.options.get("headers") or {}), name: value})


def _tasks_in(canvas: Signature) -> Iterator[Signature]:
    if isinstance(canvas, chord):
        header = canvas.tasks if isinstance(canvas.tasks, group) else group(canvas.tasks)
        yield from _tasks_in(header)
        yield from _tasks_in(canvas.body)
    elif isinstance(canvas, group | _chain):
        for task in canvas.tasks:
            yield from _tasks_in(task)
    else:
        yield canvas
