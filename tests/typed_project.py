"""The types that a project's editor sees. mypy checks this file against the wheel, unrun.

An `assert_type` fails if the type is another one, and so does an unneeded `type: ignore`.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, assert_type

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from jobs.handlers import JobHandler
from jobs.job import Job, JobSnapshot, Progress
from jobs.repository import JobRepository
from jobs.rerun import start_again
from jobs.states import JobState
from jobs.tasks import JobTask, job_task
from jobs.testing import JobCommunicator, capture_events, run_job, run_job_twice


class ExportHandler(JobHandler):
    header = "Writing the report"

    def message(self) -> str:
        assert_type(self.job, JobSnapshot)
        assert_type(self.job.started_at, datetime | None)
        self.job.set_progress(1)  # type: ignore[attr-defined]
        return f"{self.job.progress.current} pages"

    def next_url(self, request: HttpRequest) -> str:
        return f"/reports/{self.job.data['file']}/"

    def on_ready(self, request: HttpRequest) -> None:
        self.job.data["seen"] = True  # type: ignore[index]

    def rerun(self, request: HttpRequest) -> Job:
        return start_again(export, self.job)

    def public_data(self) -> Mapping[str, Any]:
        return {"file": self.job.data.get("file")}


class WrongHandler(JobHandler):
    def next_url(self, request: HttpRequest) -> int:  # type: ignore[override]
        return 1


@job_task(handler_class=ExportHandler, start_timeout=60)
def export(self: JobTask, year: int) -> None:
    assert_type(self.job, Job)
    self.job.set_progress(1, 12, "January")
    self.job.set_progress("January")  # type: ignore[arg-type]
    self.job.data["file"] = f"{year}.csv"


@job_task(exclude_from_data=("token",))
def fetch(self: JobTask, day: date, token: str) -> None: ...


@job_task(unique_on=("year",), unique_scope="everyone")
def close(self: JobTask, year: int) -> None: ...


class Fetch(JobTask):
    exclude_from_data = ("token",)
    unique_on = ("day",)

    def run(self, day: date, token: str) -> None: ...


@job_task
def plain(self: JobTask) -> None: ...


def view(request: HttpRequest) -> HttpResponse:
    assert_type(export, JobTask)
    assert_type(plain, JobTask)
    job = export.start_job(request, year=1)
    assert_type(job, Job)
    assert_type(job.state, JobState)
    assert_type(job.progress, Progress)
    assert_type(job.progress.percent, int | None)
    assert_type(job.id, str)
    assert_type(job.handler, JobHandler)
    assert_type(JobRepository().find(job.id), Job)
    assert_type(JobRepository().for_owner(request.user), list[Job])
    assert_type(run_job(export, request, year=2026), Job)
    assert_type(run_job(export, request, 2026), Job)
    assert_type(fetch.start_job(request, date(2026, 1, 2), token="secret"), Job)
    assert_type(Fetch().start_job(request, date(2026, 1, 2), token="secret"), Job)
    assert_type(
        close.submit_job(request, [2026], unique="close", unique_scope="owner").is_reused, bool
    )
    assert_type(run_job_twice(close, request, year=2026), tuple[Job, Job])
    with capture_events() as events:
        assert_type(events, list[dict[str, Any]])
    return redirect(job)


async def asynchronous(job_id: str) -> None:
    assert_type(await JobRepository().afind(job_id), Job)
    async with JobCommunicator(job=job_id) as page:
        assert_type(await page.event("ready"), dict[str, Any])


export.start_job("not a request")  # type: ignore[arg-type]
job_task(exclude_from_data=3)  # type: ignore[call-overload]
job_task(handler_class=3)  # type: ignore[call-overload]
