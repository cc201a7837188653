"""The admin's lists and pages are fast, safe to press, and for staff who may watch every job."""

import html
import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone

from jobs.admin import pages, summary
from jobs.archive import durations
from jobs.models import JobRecord
from jobs.repository import JobRepository
from jobs.states import JobState
from tests.factories import (
    NOWHERE,
    browser,
    create_job,
    ended_job,
    plant,
    staff,
    started_job,
    user,
)

pytestmark = pytest.mark.django_db

LIST = "/admin/jobs/jobrecord/"
ALIVE = f"{LIST}alive/"
SUMMARY = f"{LIST}summary/"
TOKEN = "visitor:Zx81Spectrum48k"


def archive(number, **values):
    """Store ended jobs that differ in their ids only."""
    now = timezone.now()
    record = ended_job(owner=TOKEN, tags=["post"], parcel="books").record
    JobRecord.objects.all().delete()
    for n in range(number):
        JobRecord.objects.store(record.replace(id=f"parcel-{n}", **values))
    assert JobRecord.objects.filter(ended_at__lte=now + timedelta(minutes=1)).count() == number


def text_of(response):
    return response.content.decode()


@pytest.mark.parametrize("number", [1, 40])
def test_the_list_needs_the_same_queries_for_one_job_and_many(
    sam, number, django_assert_num_queries
):
    archive(number)
    with django_assert_num_queries(
        6
    ) as queries:  # session, user, two for the permissions, count, rows
        assert text_of(sam.get(LIST)).count('<th class="field-id">') == number
    assert not any("stored" in query["sql"] for query in queries.captured_queries)


def test_the_list_offers_the_first_pages_only(sam, monkeypatch):
    monkeypatch.setattr("jobs.admin.archive.JobRecordAdmin.list_per_page", 2)
    monkeypatch.setattr("jobs.admin.archive.MAX_PAGES", 3)
    archive(9)
    page = sam.get(f"{LIST}?p=3")
    assert page.context["cl"].paginator.num_pages == 3 and page.context["cl"].result_count == 9


def test_the_filter_offers_the_loaded_handlers(sam):
    archive(2, handler_class="tests.handlers.PostHandler")
    page = sam.get(f"{LIST}?handler=tests.handlers.PostHandler.Express")
    assert page.context["cl"].result_count == 0 and "PostHandler.Express" in text_of(page)
    assert sam.get(f"{LIST}?handler=tests.handlers.PostHandler").context["cl"].result_count == 2


def test_one_job_shows_error_progress_and_times_but_no_data(sam):
    archive(
        1,
        state=JobState.FAILED,
        error="The <b>parcel</b> broke.",
        current=3,
        total=10,
        note="row 3",
    )
    page = text_of(sam.get(f"{LIST}parcel-0/change/"))
    for shown in ("The &lt;b&gt;parcel&lt;/b&gt; broke.", "3 / 10 row 3", "post", "0.0 s"):
        assert shown in page
    assert "books" not in page and TOKEN not in page


def test_superusers_see_the_data_as_json():
    archive(1)
    root = browser(user=user("root", is_staff=True, is_superuser=True))
    assert "&quot;parcel&quot;: &quot;books&quot;" in text_of(root.get(f"{LIST}parcel-0/change/"))


@pytest.mark.parametrize("path", [ALIVE, SUMMARY])
def test_the_pages_are_for_staff_who_may_watch_every_job(path, client):
    assert client.get(path).status_code == 302
    assert browser(user=staff("tom")).get(path).status_code == 403
    assert browser(user=staff("tim", "view_jobrecord")).get(path).status_code == 403
    watcher = user("wat")
    watcher.user_permissions.set(Permission.objects.filter(codename="view_job"))
    assert browser(user=watcher).get(path).status_code == 302
    assert browser(user=staff("sue", "view_job")).get(path).status_code == 200


def test_living_jobs_are_listed_with_owner_and_progress(sam):
    running = started_job(owner=TOKEN)
    running.set_progress(3, 10, "row <3>")
    waiting, ended = create_job(owner="user:7"), ended_job()
    page = text_of(sam.get(ALIVE))
    assert running.id in page and waiting.id in page and ended.id not in page
    assert 'value="30"' in page and "row &lt;3&gt;" in page and "user:7" in page
    assert "visitor:Zx81Sp…" in page and TOKEN not in page


def test_the_page_of_living_jobs_queries_no_jobs_in_the_database(sam, django_assert_num_queries):
    for _ in range(3):
        started_job()
    with django_assert_num_queries(4):
        sam.get(ALIVE)


def test_cancel_ends_a_waiting_job_and_asks_a_running_one_to_stop(sam):
    waiting, running = create_job(), started_job()
    page = sam.post(ALIVE, {"job": waiting.id, "action": "cancel"}, follow=True)
    assert "is cancelled" in text_of(page)
    assert waiting.refresh().state is JobState.CANCELLED
    assert "will stop" in text_of(
        sam.post(ALIVE, {"job": running.id, "action": "cancel"}, follow=True)
    )
    assert running.refresh().is_cancel_asked


def test_only_a_task_that_was_asked_to_stop_can_be_killed(sam, monkeypatch):
    killed = []
    monkeypatch.setattr(pages, "terminate", lambda job: killed.append(job.id))
    job = started_job()
    assert "terminate" not in text_of(sam.get(ALIVE))
    assert "was not asked" in text_of(
        sam.post(ALIVE, {"job": job.id, "action": "terminate"}, follow=True)
    )
    job.cancel()
    assert "Kill its process" in text_of(sam.get(ALIVE))
    assert "were told" in text_of(
        sam.post(ALIVE, {"job": job.id, "action": "terminate"}, follow=True)
    )
    assert killed == [job.id]


def test_unreachable_workers_are_a_message_and_not_an_error_500(sam, monkeypatch):
    def fail(job):
        raise OSError("redis://:hunter2@broker does not answer")

    monkeypatch.setattr(pages, "terminate", fail)
    job = started_job()
    job.cancel()
    page = text_of(sam.post(ALIVE, {"job": job.id, "action": "terminate"}, follow=True))
    assert "could not be told" in page and "hunter2" not in page


@pytest.mark.parametrize(
    "form", [{"action": "cancel", "job": "gone"}, {"action": "cancel"}, {"action": "explode"}, {}]
)
def test_an_invalid_form_changes_nothing(sam, form):
    job = started_job()
    assert sam.post(ALIVE, form, follow=True).status_code == 200
    assert not job.refresh().is_cancel_asked


def test_an_unknown_action_is_answered_with_the_known_ones(sam):
    page = text_of(sam.post(ALIVE, {"action": "explode", "job": started_job().id}, follow=True))
    assert "There is no action 'explode'; there are cancel, terminate." in html.unescape(page)


def test_h23_an_action_s_name_forges_no_line_of_the_log(sam, caplog):
    caplog.set_level("INFO")
    forged = "x\r\n2026-11-28 03:00:00 CRITICAL root: all is lost\x1b[2J"
    sam.post(ALIVE, {"action": forged, "job": f"parcel\n{forged}"})
    (line,) = [
        record.getMessage() for record in caplog.records if record.name == "jobs.admin.pages"
    ]
    assert "x\\r\\n2026-11-28" in line and line.isprintable()


def test_cancelling_needs_the_permission_and_the_csrf_token(sam):
    job = create_job()
    form = {"job": job.id, "action": "cancel"}
    assert browser(user=staff("tom")).post(ALIVE, form).status_code == 403
    strict = browser(user=staff("sue", "view_job"), enforce_csrf_checks=True)
    assert strict.post(ALIVE, form).status_code == 403
    assert JobRepository().find(job.id).state is JobState.PENDING


def test_the_page_says_that_the_store_is_down(sam, settings):
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    page = sam.get(ALIVE)
    assert page.status_code == 200 and "could not run a command" in text_of(page)


def test_the_summary_shows_counts_by_day_and_usual_times(sam):
    durations.forget()
    archive(8)
    page = text_of(sam.get(SUMMARY))
    assert (
        page.count('<rect class="jobs-complete" x="0.0" width="100.0"')
        == page.count('<rect class="jobs-comp')
        == 1
    )
    assert '<td class="jobs-number">8</td>' in page and "PostHandler" in page
    assert "style=" not in page.partition('id="content"')[2] and "<script>" not in page
    durations.forget()


def test_usual_times_are_drawn_for_each_handler(sam, monkeypatch):
    times = {
        "tests.handlers.PostHandler": (1, 2, 5, 20),
        "tests.handlers.PostHandler.Express": (None, None, 1, 10),
    }
    monkeypatch.setattr(summary, "typical_durations", lambda name: times.get(name, (None,) * 4))
    page = text_of(sam.get(SUMMARY))
    bars = re.findall(r'<rect class="jobs-(half|most)" x="([\d.]+)" width="([\d.]+)"', page)
    assert bars == [
        ("half", "0", "25.0"),
        ("most", "25.0", "75.0"),
        ("half", "0", "5.0"),
        ("most", "5.0", "45.0"),
    ]


def test_an_empty_summary_says_so(sam):
    durations.forget()
    assert "Too few jobs" in text_of(sam.get(SUMMARY))
    durations.forget()


def test_bars_use_decimal_points_in_every_language(sam, settings):
    settings.LANGUAGES = [("de", "Deutsch")]
    settings.LANGUAGE_CODE = "de"
    archive(3)
    JobRecord.objects.filter(pk="parcel-0").update(ended_at=timezone.now() - timedelta(days=1))
    assert 'width="50.0"' in text_of(sam.get(SUMMARY))


def test_only_the_newest_living_jobs_update_themselves(sam, monkeypatch):
    monkeypatch.setattr(pages, "MAX_LIVE", 2)
    jobs = [started_job(owner=TOKEN) for _ in range(3)]
    page = text_of(sam.get(ALIVE))
    assert [job.id for job in jobs if f'<job-status job="{job.id}"' in page] == [
        job.id for job in jobs[1:]
    ]
    assert (
        page.count("<job-progress ") == 2 and page.count("elements.js") == 1 and TOKEN not in page
    )


def test_a_job_without_its_handler_is_still_listed(sam, redis_client):
    job = started_job()
    plant(redis_client, job, handler_class='"gone.handlers.Gone"')
    assert job.id in text_of(sam.get(ALIVE))
