"""Start once: while a job with the same key is alive, a second start gets that job."""

import logging
from datetime import date
from uuid import UUID

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connections, transaction
from django.shortcuts import redirect
from django.urls import include, path

from jobs.canvas import start_canvas
from jobs.exceptions import (
    JobAlreadyRunning,
    JobEnded,
    JobNotFound,
    StoreUnavailable,
    UnserializableData,
)
from jobs.job import Job
from jobs.models import JobRecord
from jobs.queues.celery.headers import header_of, record_in
from jobs.repository import JobRepository
from jobs.states import JobState
from jobs.store.keys import job_key
from jobs.tasks import JobTask, job_task
from jobs.testing import advance_clock, broker_down, store_down
from project.celery import app
from tests import tasks
from tests.factories import ANN, BOB, OWNER, again, at_once, browser, commands, hash_of, request_of
from tests.tasks import import_rows, report_once, send_parcel, stock_once

pytestmark = pytest.mark.usefixtures("database_file")


seen = []  # for each post: whether a transaction was open, and whether the job was reused


def report(request):
    """Start a report, as a project's view does."""
    job = report_once.start_job(request, year=2026)
    seen.append((connections["default"].in_atomic_block, job.is_reused))
    return redirect(job)


urlpatterns = [path("jobs/", include("jobs.urls")), path("report/", report)]


def ann():
    return request_of(dict(ANN), AnonymousUser())


def bob():
    return request_of(dict(BOB), AnonymousUser())


def held_by_keys(redis_client):
    """Return the ids of the jobs that hold a unique key."""
    return sorted(redis_client.get(key).decode() for key in redis_client.keys("jobs:unique:*"))


@pytest.fixture(autouse=True)
def empty_queue():
    """Forget the messages of other tests."""
    with app.connection_for_write() as connection, connection.SimpleQueue("celery") as queue:
        queue.clear()


def messages():
    """Return how many messages wait for a worker."""
    with app.connection_for_read() as connection:
        return connection.default_channel.client.llen("celery")


def test_a_second_start_gets_the_job_that_is_alive_and_sends_nothing(redis_client):
    first = report_once.start_job(ann(), year=2026)
    second = report_once.start_job(ann(), year=2026)
    assert (first.is_reused, second.is_reused) == (False, True)
    assert (second.id, second.state, second.data) == (first.id, "pending", {"year": 2026})
    assert (messages(), held_by_keys(redis_client)) == (1, [first.id])
    assert [job.id for job in JobRepository().for_owner(OWNER)] == [first.id]


def test_other_arguments_another_owner_and_a_plain_job_start_another(redis_client):
    starts = [
        report_once.start_job(ann(), year=2026),
        report_once.start_job(ann(), year=2027),
        report_once.start_job(bob(), year=2026),
        report_once.start_job(None, year=2026),
        send_parcel.start_job(ann(), parcel="x"),
        send_parcel.start_job(ann(), parcel="x"),
    ]
    assert len({job.id for job in starts}) == messages() == 6
    assert not any(job.is_reused for job in starts)


def test_a_job_that_nobody_owns_is_started_once_too():
    first = report_once.start_job(None, year=2026)
    assert report_once.start_job(None, year=2026).id == first.id


@pytest.mark.parametrize("end", ["complete", "fail", "cancel"])
def test_an_end_frees_the_key(redis_client, end):
    first = report_once.start_job(ann(), year=2026)
    if end != "cancel":
        first.start()
    getattr(first, end)()
    assert held_by_keys(redis_client) == []
    assert report_once.start_job(ann(), year=2026).id != first.id


def test_a_job_asked_to_stop_holds_its_key_until_it_stops(redis_client):
    first = report_once.start_job(ann(), year=2026)
    first.start()
    again(first).cancel()
    assert report_once.start_job(ann(), year=2026).id == first.id


def test_the_key_is_held_between_two_attempts(redis_client):
    first = report_once.start_job(ann(), year=2026)
    first.start()
    first.retry(60)
    assert report_once.start_job(ann(), year=2026).id == first.id


def test_a_broker_that_is_down_frees_the_key(redis_client):
    with broker_down():
        assert report_once.start_job(ann(), year=2026).state is JobState.FAILED
    assert held_by_keys(redis_client) == []


def test_a_store_that_is_down_raises_and_leaves_no_key(redis_client):
    with store_down(), pytest.raises(StoreUnavailable):
        report_once.start_job(ann(), year=2026)
    assert held_by_keys(redis_client) == []


def test_lists_that_cannot_be_written_take_record_and_key_back(redis_client):
    redis_client.set("jobs:index:all", "planted by somebody")
    with pytest.raises(StoreUnavailable):
        report_once.start_job(ann(), year=2026)
    assert redis_client.keys("jobs:{*") == held_by_keys(redis_client) == []


# Deaths


def test_an_unsent_message_frees_the_key_at_start_timeout(redis_client):
    first = report_once.start_job(ann(), year=2026)
    advance_clock(3601, first)
    second = report_once.start_job(ann(), year=2026)
    assert (second.id != first.id, second.is_reused) == (True, False)
    assert (again(first).state, held_by_keys(redis_client)) == (JobState.EXPIRED, [second.id])


def test_a_dead_worker_frees_the_key_within_lost_after(redis_client):
    first = report_once.start_job(ann(), year=2026)
    first.start("worker@gone/1")
    advance_clock(44, first)
    assert report_once.start_job(ann(), year=2026).id == first.id
    advance_clock(2, first)
    second = report_once.start_job(ann(), year=2026)
    assert (again(first).state, held_by_keys(redis_client)) == (JobState.LOST, [second.id])


def test_a_lost_job_that_speaks_again_takes_a_free_key_back(redis_client):
    first = report_once.start_job(ann(), year=2026)
    first.start()
    advance_clock(46, first)
    assert again(first).state is JobState.LOST and held_by_keys(redis_client) == []
    first.data["speaks"] = True
    assert held_by_keys(redis_client) == [first.id]
    assert report_once.start_job(ann(), year=2026).id == first.id


def test_a_lost_job_that_speaks_again_leaves_its_key_to_its_successor(redis_client):
    first = report_once.start_job(ann(), year=2026)
    first.start()
    advance_clock(46, first)
    second = report_once.start_job(ann(), year=2026)
    first.data["speaks"] = True
    assert held_by_keys(redis_client) == [second.id]
    first.complete()
    assert held_by_keys(redis_client) == [second.id]


def test_after_flushall_the_worker_s_record_takes_the_key_back(redis_client):
    first = report_once.start_job(ann(), year=2026)
    first.start()
    redis_client.flushall()
    first.data["speaks"] = True
    assert held_by_keys(redis_client) == [first.id]
    assert report_once.start_job(ann(), year=2026).id == first.id


def test_after_flushall_a_job_restored_from_its_message_takes_the_key_back(redis_client):
    first = report_once.start_job(ann(), year=2026)
    header = header_of(first, {"year": 2026})
    redis_client.flushall()
    Job(record_in(first.id, header, {"year": 2026})).stored.restore()
    assert held_by_keys(redis_client) == [first.id]


def test_a_holder_whose_record_is_gone_frees_the_key_at_once(redis_client):
    first = report_once.start_job(ann(), year=2026)
    redis_client.delete(job_key(first.id))
    second = report_once.start_job(ann(), year=2026)
    assert (second.is_reused, held_by_keys(redis_client)) == (False, [second.id])


def test_a_holder_that_ended_without_freeing_the_key_is_followed_by_another(redis_client):
    first = report_once.start_job(ann(), year=2026)
    first.end(JobState.FAILED)
    redis_client.set(f"jobs:unique:{first.record.unique}", first.id)
    assert report_once.start_job(ann(), year=2026).id != first.id


def test_a_key_lives_at_least_as_long_as_its_record(redis_client):
    first = report_once.submit_job(ann(), kwargs={"year": 1}, countdown=90 * 86400)
    assert redis_client.ttl(f"jobs:unique:{first.record.unique}") >= redis_client.ttl(
        job_key(first.id)
    )


# What is the same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (((2026,), {}), ((), {"year": 2026})),
        (((2026,), {}), ((2026, "pdf"), {})),
        (((), {"year": {"a": 1, "b": [2]}}), ((), {"year": {"b": [2], "a": 1}})),
        (((2026,), {"note": "x"}), ((2026,), {"note": "y"})),
        (((date(2026, 1, 2),), {}), ((date(2026, 1, 2),), {})),
    ],
)
def test_equal_calls_are_one_job(one, other):
    first = report_once.start_job(ann(), *one[0], **one[1])
    assert report_once.start_job(ann(), *other[0], **other[1]).id == first.id


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, "1"),
        (1, True),
        (0, False),
        (None, "null"),
        (date(2026, 1, 2), "2026-01-02"),
        (UUID(int=1), str(UUID(int=1))),
        ([1, 2], [2, 1]),
        ([["a", 1]], {"a": 1}),
        ({"dict": []}, {}),
        ({"uuid": str(UUID(int=1))}, UUID(int=1)),
    ],
)
def test_different_calls_are_different_jobs(one, other):
    first = report_once.start_job(ann(), year=one)
    assert report_once.start_job(ann(), year=other).id != first.id


def test_the_keys_of_two_tasks_and_a_given_key_differ(redis_client):
    starts = [
        report_once.start_job(ann(), year=1),
        stock_once.start_job(ann()),
        import_rows.start_job(ann(), year=1),
        send_parcel.submit_job(ann(), ["x"], unique="1"),
        send_parcel.submit_job(ann(), ["x"], unique="tests.tasks.report_once"),
    ]
    assert len({job.id for job in starts}) == 5


def test_no_names_make_the_task_as_a_whole_unique():
    first = stock_once.start_job(ann(), shelf=1)
    assert stock_once.start_job(ann(), shelf=2).id == first.id


def test_a_given_key_replaces_the_arguments_and_holds_for_every_task():
    first = send_parcel.submit_job(ann(), ["books"], unique="export:2026")
    assert send_parcel.submit_job(ann(), ["shoes"], unique="export:2026").id == first.id
    assert report_once.submit_job(ann(), [1], unique="export:2026").id == first.id


def test_submit_job_uses_the_task_s_own_key():
    first = report_once.start_job(ann(), year=2026)
    assert report_once.submit_job(ann(), kwargs={"year": 2026}, data={"other": 1}).id == first.id


def test_a_key_is_of_bounded_length(redis_client):
    report_once.start_job(ann(), year="x" * 10_000)
    send_parcel.submit_job(ann(), ["x"], unique="\ud800" * 10_000)
    assert {len(key) for key in redis_client.keys("jobs:unique:*")} == {76}


def test_a_task_class_may_name_its_unique_arguments(redis_client):
    first = tasks.PACK_ONCE.start_job(ann(), "hats", ribbon="red")
    assert tasks.PACK_ONCE.start_job(ann(), parcel="hats").id == first.id


def test_unique_on_may_name_any_of_a_task_s_variable_arguments():
    first = tasks.collect_once.start_job(ann(), shop=1, note="a")
    assert tasks.collect_once.start_job(ann(), shop=1, note="b").id == first.id
    assert tasks.collect_once.start_job(ann(), shop=2).id != first.id


def test_a_canvas_can_be_started_once(redis_client):
    first = start_canvas(ann(), send_parcel.s("x"), unique="canvas")
    second = start_canvas(ann(), send_parcel.s("x"), unique="canvas")
    assert (second.id, second.is_reused, messages()) == (first.id, True, 1)


# What is refused


@pytest.mark.parametrize("names", ["year", ("month",), ("self",), 5])
def test_names_are_checked_when_the_task_is_defined(names):
    with pytest.raises(TypeError, match="unique_on"):

        @job_task(unique_on=names)
        def export(self, year):
            """Never run."""

    with pytest.raises(TypeError, match="unique_on"):

        class Export(JobTask):
            unique_on = names

            def run(self, year):
                """Never run."""


def test_an_unknown_scope_is_refused():
    with pytest.raises(ValueError, match="'owner' or 'everyone'"):
        job_task(unique_on=(), unique_scope="all")(lambda self: None)
    with pytest.raises(ValueError, match="'owner' or 'everyone'"):
        send_parcel.submit_job(ann(), ["x"], unique="x", unique_scope="all")


@pytest.mark.parametrize("key", ["", 5, b"x", ["x"]])
def test_a_key_that_is_no_text_is_refused(redis_client, key):
    with pytest.raises(ValueError, match="give a text such as"):
        send_parcel.submit_job(ann(), ["x"], unique=key)
    assert messages() == 0


def test_an_argument_without_a_text_is_named(redis_client):
    with pytest.raises(UnserializableData, match="'year'"):
        report_once.submit_job(ann(), kwargs={"year": object()})
    assert redis_client.keys("jobs:*") == []


# For everyone


def test_with_a_key_for_everyone_another_owner_s_job_is_refused(redis_client):
    first = import_rows.start_job(ann(), year=2026)
    assert import_rows.start_job(ann(), year=2026).id == first.id
    with pytest.raises(JobAlreadyRunning) as refused:
        import_rows.start_job(bob(), year=2026)
    assert str(refused.value) == "This work is already under way, so it was not started again."
    assert (messages(), JobRepository().for_owner("visitor:bob")) == (1, [])


def test_submit_job_may_give_a_key_for_everyone():
    send_parcel.submit_job(ann(), ["x"], unique="export", unique_scope="everyone")
    with pytest.raises(JobAlreadyRunning):
        send_parcel.submit_job(bob(), ["x"], unique="export", unique_scope="everyone")
    assert not send_parcel.submit_job(bob(), ["x"], unique="export").is_reused


# Inside a transaction


def lose_the_race(task=report_once, winner=ann, **kwargs):
    """Start a job in a transaction, and the same job elsewhere before the commit.

    Returns the draft's first id, the draft, and the job that runs.
    """
    with transaction.atomic():
        draft = task.start_job(ann(), year=2026)
        draft_id = draft.id
        for key, value in kwargs.items():
            draft.data[key] = value
        (running,) = at_once([lambda: task.start_job(winner(), year=2026)])
    return draft_id, draft, running


def test_a_job_that_runs_is_returned_before_the_commit(redis_client):
    first = report_once.start_job(ann(), year=2026)
    with transaction.atomic():
        second = report_once.start_job(ann(), year=2026)
        assert (second.id, second.is_reused) == (first.id, True)
    assert messages() == 1


def test_another_s_job_is_refused_before_the_commit():
    import_rows.start_job(bob(), year=2026)
    with pytest.raises(JobAlreadyRunning), transaction.atomic():
        import_rows.start_job(ann(), year=2026)


def test_the_draft_that_loses_the_race_becomes_the_job_that_runs(redis_client):
    draft_id, draft, running = lose_the_race()
    assert (draft.id, draft.is_reused, draft.refresh().id) == (running.id, True, running.id)
    assert draft.get_absolute_url() == f"/jobs/{running.id}/"
    assert (draft.handler.job is draft, draft.topics) == (True, running.topics)
    assert (again(draft).id, JobRepository().find(draft_id).id) == (running.id, running.id)
    assert messages() == 1


def test_two_starts_in_one_transaction_are_one_job(redis_client):
    with transaction.atomic():
        first, second = (
            report_once.start_job(ann(), year=2026),
            report_once.start_job(ann(), year=2026),
        )
    assert (second.id, second.is_reused, messages()) == (first.id, True, 1)


def test_the_address_of_the_losing_draft_leads_to_the_job():
    draft_id, _draft, running = lose_the_race()
    answer = browser(ANN).get(f"/jobs/{draft_id}/")
    assert (answer.status_code, answer["Location"]) == (303, f"/jobs/{running.id}/")
    assert browser(BOB).get(f"/jobs/{draft_id}/").status_code == 404


def test_json_and_posts_to_the_losing_draft_reach_the_running_job():
    draft_id, _draft, running = lose_the_race()
    client = browser(ANN)
    answer = client.get(f"/jobs/{draft_id}/", HTTP_ACCEPT="application/json")
    assert (answer.status_code, answer.json()["job"]["id"]) == (202, running.id)
    assert client.post(f"/jobs/{draft_id}/cancel/")["Location"] == f"/jobs/{running.id}/"
    assert again(running).state is JobState.CANCELLED
    assert client.post(f"/jobs/{draft_id}/ready/")["Location"] == "/jobs/"


def test_an_alias_is_in_no_list_and_lives_like_a_record(redis_client):
    draft_id, _draft, running = lose_the_race()
    assert [job.id for job in JobRepository().for_owner(OWNER)] == [running.id]
    listed = [redis_client.zrange(key, 0, -1) for key in redis_client.keys("jobs:index:*")]
    assert listed and all(ids == [running.id.encode()] for ids in listed)
    alive, alias = (
        redis_client.ttl(job_key(running.id)),
        redis_client.ttl(job_key(draft_id)),
    )
    assert abs(alive - alias) <= 2
    assert not JobRecord.objects.filter(pk=draft_id).exists()


def test_an_alias_leads_to_a_job_that_only_the_archive_knows(redis_client):
    draft_id, _draft, running = lose_the_race()
    running.start()
    running.complete()
    redis_client.delete(job_key(running.id))
    assert JobRepository().find(draft_id).state is JobState.COMPLETE


def test_data_written_to_the_losing_draft_is_dropped_and_logged(caplog):
    caplog.set_level(logging.WARNING, "jobs.tasks")
    _id, draft, running = lose_the_race(secret="hunter2")
    assert again(running).data == draft.data == {"year": 2026}
    assert "['secret'] is dropped" in caplog.text and "hunter2" not in caplog.text


def test_with_a_key_for_everyone_the_losing_draft_fails(redis_client):
    draft_id, draft, running = lose_the_race(import_rows, winner=bob)
    assert (draft.id, draft.state, draft.is_reused) == (draft_id, JobState.FAILED, False)
    assert again(draft).error == "This work is already under way, so it was not started again."
    assert (held_by_keys(redis_client), messages()) == ([running.id], 1)


def test_a_transaction_that_is_rolled_back_leaves_no_alias_and_no_key(redis_client):
    with pytest.raises(RuntimeError), transaction.atomic():
        draft = report_once.start_job(ann(), year=2026)
        raise RuntimeError("rolled back")
    assert redis_client.keys("jobs:*") == []
    with pytest.raises(JobNotFound):
        draft.refresh()


def test_with_atomic_requests_a_second_post_leads_to_the_running_job(settings, monkeypatch):
    settings.ROOT_URLCONF = "tests.queues.test_submission"
    monkeypatch.setitem(connections["default"].settings_dict, "ATOMIC_REQUESTS", True)
    seen.clear()
    client = browser(ANN)
    places = [client.post("/report/")["Location"] for _ in range(2)]
    assert (places[0], messages()) == (places[1], 1)
    assert seen == [(True, False), (True, True)]


# What it costs, and many at once


def test_a_job_without_a_key_costs_no_more_commands(redis_client):
    def start():
        send_parcel.start_job(ann(), parcel="x")

    start()
    assert commands(redis_client, start).count("EVALSHA") == 3  # its record, and its two lists
    assert not {"unique", "alias_of"} & set(
        hash_of(redis_client, send_parcel.start_job(ann(), parcel="x"))
    )


def test_of_many_starts_at_once_only_one_is_stored(redis_client):
    jobs = at_once([lambda: report_once.start_job(ann(), year=2026) for _ in range(12)])
    assert len({job.id for job in jobs}) == messages() == 1
    assert sorted(job.is_reused for job in jobs) == [False] + 11 * [True]


def test_a_reused_job_can_be_cancelled():
    first = report_once.start_job(ann(), year=2026)
    second = report_once.start_job(ann(), year=2026)
    second.cancel()
    assert again(first).state is JobState.CANCELLED
    with pytest.raises(JobEnded):
        second.data["late"] = 1
