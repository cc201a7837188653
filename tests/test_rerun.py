"""Staff run an ended job again, once and with the same arguments, or see why they cannot."""

from datetime import date, datetime, time
from decimal import Decimal
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry

from jobs.exceptions import JobError, JobExists
from jobs.models import JobRecord
from jobs.queues.arguments import as_data
from jobs.repository import JobRepository
from jobs.rerun import reason_against_rerun, start_again, successor_of
from jobs.testing import run_immediately

from .factories import OWNER, browser, create_job, ended_job, staff
from .handlers import AgainHandler
from .tasks import RUNS, see, send_again, send_many, use_token

pytestmark = pytest.mark.django_db(transaction=True)  # tasks are sent when a transaction commits


@pytest.fixture(autouse=True)
def at_once():
    """Run each task when it is sent."""
    RUNS.clear()
    with run_immediately():
        yield


@pytest.fixture
def sam():
    return browser(user=staff("sam", "view_job", "view_jobrecord", "rerun_job"))


def sent(**more):
    """Return a job that has run once."""
    kwargs = {"parcel": "books", "weight": 3, **more}
    job = send_again.submit_job(None, kwargs=kwargs, data=kwargs, owner=OWNER, tags=["post"])
    assert RUNS == [("books", 3)]
    return JobRepository().find(job.id)


def page_of(job):
    return f"/admin/jobs/jobrecord/{job.id}/rerun/"


def test_a_rerun_is_a_new_job_with_the_same_owner_and_arguments():
    job = sent()
    again = start_again(send_again, job).refresh()
    assert RUNS == [("books", 3)] * 2
    assert (again.owner, again.tags, again.state) == (OWNER, ("post",), "complete")
    assert again.id != job.id and dict(again.data) == {
        "parcel": "books",
        "weight": 3,
        "receipt": "books sent",
    }


def test_data_that_the_task_added_is_no_argument_of_the_rerun():
    job = ended_job(handler_class=AgainHandler, parcel="books", receipt="an old one", note="kept")
    start_again(send_again, job)
    assert RUNS == [("books", 1)] and "note" not in successor_of(job).data


def test_a_job_is_run_again_once_and_its_successor_once_more():
    job = sent()
    again = start_again(send_again, job)
    with pytest.raises(JobExists, match=again.id):
        start_again(send_again, job)
    start_again(send_again, again.refresh())
    assert len(RUNS) == 3


def test_a_successor_that_redis_has_lost_is_still_known(redis_client):
    job = sent()
    again = start_again(send_again, job)
    redis_client.flushall()
    with pytest.raises(JobExists, match=again.id):
        start_again(send_again, job)


def test_missing_arguments_are_named_in_the_refusal():
    with pytest.raises(JobError, match="does not hold parcel"):
        start_again(send_again, ended_job(handler_class=AgainHandler, weight=3))
    with pytest.raises(JobError, match="not known"):
        start_again(send_many, ended_job(handler_class=AgainHandler, parcel="books"))
    assert RUNS == []


@pytest.mark.parametrize(
    "value", [uuid4(), date(2026, 1, 2), datetime(2026, 1, 2), time(3, 4), Decimal("1.20")]
)
def test_an_argument_whose_text_was_kept_is_given_as_it_was(value):
    again = start_again(see, see.start_job(None, value).refresh()).refresh()
    assert [value] * 2 == RUNS and again.data["thing"] == as_data(value)
    start_again(see, again)
    assert [value] * 3 == RUNS and type(RUNS[-1]) is type(value)


def test_an_argument_that_its_text_cannot_bring_back_is_refused():
    job = see.start_job(None, [date(2026, 1, 2)]).refresh()
    with pytest.raises(JobError, match="thing is not known"):
        start_again(see, job)
    assert len(RUNS) == 1


def test_one_whose_arguments_were_kept_out_of_its_data_is_refused():
    job = use_token.start_job(None, 2026, access_token="hunter2").refresh()
    with pytest.raises(JobError, match="access_token was kept out of its data"):
        start_again(use_token, job)


def test_one_that_has_not_ended_is_refused():
    with pytest.raises(JobError, match="not ended"):
        start_again(send_again, create_job(handler_class=AgainHandler, parcel="books"))


def test_staff_is_asked_first_and_nothing_starts_by_looking(sam):
    job = sent()
    assert page_of(job) in sam.get(f"/admin/jobs/jobrecord/{job.id}/change/").content.decode()
    page = sam.get(page_of(job)).content.decode()
    assert (
        "Yes, run it again" in page
        and OWNER[:12] in page
        and OWNER not in page.replace(OWNER + "…", "")
    )
    assert len(RUNS) == 1 and successor_of(job) is None


def test_staff_confirms_and_it_is_written_down_who_did(sam):
    job = sent()
    answer = sam.post(page_of(job), follow=True)
    again = successor_of(job)
    assert again.is_ended and f"as job {again.id}" in answer.content.decode()
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.user.username) == (
        job.id,
        "sam",
    ) and again.id in entry.change_message


def test_a_double_click_starts_one(sam):
    job = sent()
    sam.post(page_of(job))
    answer = sam.post(page_of(job), follow=True).content.decode()
    assert len(RUNS) == 2 and "run again already" in answer and "Yes, run it again" not in answer


def test_the_page_says_why_it_cannot_be(sam):
    job = ended_job()
    page = sam.get(page_of(job)).content.decode()
    assert "no method `rerun`" in page and "<form method" not in page.split('id="content"')[1]
    assert "no method `rerun`" in sam.post(page_of(job), follow=True).content.decode()
    JobRecord.objects.filter(pk=job.id).update(handler_class="gone.handlers.Gone")
    row = JobRecord.objects.get(pk=job.id)
    row.stored["handler_class"] = "gone.handlers.Gone"
    row.save()
    assert "no longer there" in sam.get(page_of(job)).content.decode()


def test_what_the_handler_raises_is_logged_and_not_shown(sam, caplog):
    job = sent(why="broken")
    answer = sam.post(page_of(job), follow=True).content.decode()
    assert "could not be run again" in answer and "no such table" not in answer
    assert "no such table: parcels" in caplog.text and job.id in caplog.text


@pytest.mark.parametrize(
    "permissions", [(), ("view_job",), ("rerun_job",), ("view_jobrecord", "view_job")]
)
def test_nobody_else_may(permissions):
    job = sent()
    member = browser(user=staff("tom", *permissions))
    assert (
        member.get(page_of(job)).status_code == 403
        and member.post(page_of(job)).status_code == 403
    )
    assert browser().post(page_of(job)).status_code == 302  # to log in
    assert len(RUNS) == 1


def test_without_the_permission_there_is_no_button():
    job = sent()
    page = browser(user=staff("tom", "view_job", "view_jobrecord")).get(
        f"/admin/jobs/jobrecord/{job.id}/change/"
    )
    assert page.status_code == 200 and page_of(job) not in page.content.decode()


def test_a_post_needs_the_token_and_an_unknown_job_is_not_found():
    job = sent()
    strict = browser(user=staff("sam", "view_job", "rerun_job"), enforce_csrf_checks=True)
    assert strict.post(page_of(job)).status_code == 403 and len(RUNS) == 1
    assert strict.get("/admin/jobs/jobrecord/nobody/rerun/").status_code == 404


def test_there_is_no_obstacle_for_one_that_can_be():
    assert reason_against_rerun(sent()) == ""
