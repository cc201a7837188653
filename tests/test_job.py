"""The verbs of a job: each one atomic transition, and the first end wins."""

import logging
from functools import partial
from itertools import product

import pytest
from django.contrib.auth.models import Group
from django.db import transaction

from jobs import events
from jobs.exceptions import (
    JobCancelled,
    JobEnded,
    JobExists,
    JobNotFound,
)
from jobs.job import Job
from jobs.models import JobRecord
from jobs.states import JobState
from jobs.store import records
from jobs.testing import capture_events
from jobs.waiting.claim import mark_claimed
from jobs.waiting.leases import give_back, take_lease

from .factories import (
    again,
    at_once,
    create_job,
    ended_job,
    event_names,
    eventually,
    hash_of,
    plant,
    started_job,
)

pytestmark = pytest.mark.usefixtures("database_file")

VERBS = {
    JobState.RUNNING: lambda job: job.start(),
    JobState.RETRYING: lambda job: job.retry(5),
    JobState.COMPLETE: lambda job: job.complete(),
    JobState.FAILED: lambda job: job.fail("no"),
    JobState.CANCELLED: lambda job: job.end(JobState.CANCELLED),
    JobState.EXPIRED: lambda job: job.end(JobState.EXPIRED),
    JobState.LOST: lambda job: job.end(JobState.LOST),
}


# Transitions


@pytest.mark.parametrize(("before", "after"), list(product(JobState, VERBS)))
def test_a_verb_takes_a_job_only_where_the_table_lets_it(redis_client, before, after):
    job = create_job()
    plant(redis_client, job, state=before.value)
    job, stored = again(job), hash_of(redis_client, job)
    if before.may_become(after):
        VERBS[after](job)
        assert job.state is again(job).state is after
    else:
        with pytest.raises(JobEnded, match=f"is {before} and cannot become {after}"):
            VERBS[after](job)
        assert hash_of(redis_client, job) == stored


def test_a_job_tells_each_moment_of_its_life():
    job = create_job()
    assert (job.state, job.attempt, job.started_at, job.ended_at) == ("pending", 0, None, None)
    job.start()
    assert (job.state, job.attempt) == ("running", 1)
    job.complete()
    assert (job.state, job.is_ended) == ("complete", True)
    assert job.created_at < job.started_at < job.ended_at
    known = again(job)
    assert (known.created_at, known.started_at, known.ended_at) == (
        job.created_at,
        job.started_at,
        job.ended_at,
    )


def test_the_first_of_many_ends_wins_and_nobody_hears_of_the_others(redis_client):
    job = started_job()
    ends = [JobState.COMPLETE, JobState.FAILED, JobState.CANCELLED, JobState.LOST] * 2
    jobs = [again(job) for _ in ends]
    with capture_events() as frames:
        results = at_once(
            [
                lambda one=one, end=end: one.end(end, end.value)
                for one, end in zip(jobs, ends, strict=True)
            ]
        )
    finals = [
        end
        for end, result in zip(ends, results, strict=True)
        if result is None and end is not JobState.LOST
    ]
    assert (
        len(finals) == 1 and again(job).state is finals[0] and again(job).error == finals[0].value
    )
    assert all(isinstance(result, JobEnded | None) for result in results)
    assert [name for name in event_names(frames) if name != "lost"] == [events.OF_STATE[finals[0]]]
    assert JobRecord.objects.get(pk=job.id).state == finals[0].value


def test_eight_workers_that_complete_the_same_job_make_one_end():
    job = started_job()
    jobs = [again(job) for _ in range(8)]
    with capture_events() as frames:
        results = at_once([one.complete for one in jobs])
    assert sum(result is None for result in results) == 1
    assert sum(isinstance(result, JobEnded) for result in results) == 7
    assert event_names(frames) == ["ready"]


def test_a_late_writer_learns_how_it_ended():
    job = started_job()
    late = again(job)
    job.complete()
    with pytest.raises(JobEnded, match="the first end wins"):
        late.fail("too late")
    assert late.state is JobState.COMPLETE and late.error == ""


def test_versions_of_a_job_only_grow():
    job = create_job()
    versions = [job.version]
    for change in (
        job.start,
        lambda: job.data.update(x=1),
        lambda: job.set_progress(1),
        job.complete,
    ):
        change()
        versions.append(job.version)
    assert versions == sorted(set(versions)) and again(job).version == versions[-1]


def test_a_verb_of_a_job_that_is_nowhere_says_so(redis_client):
    job = create_job()
    redis_client.flushall()
    for verb in (
        job.complete,
        job.start,
        job.cancel,
        lambda: job.set_progress(1),
        lambda: job.data.update(x=1),
    ):
        with pytest.raises(JobNotFound, match=job.id):
            verb()
    assert redis_client.dbsize() == 0


def test_a_job_that_is_created_twice_is_there_once():
    job = create_job(id="parcel-1", data={"n": 1})
    with pytest.raises(JobExists):
        create_job(id="parcel-1", data={"n": 2})
    assert again(job).data == {"n": 1}


def test_refreshing_shows_what_others_have_done():
    job = create_job()
    again(job).start()
    assert job.state is JobState.PENDING
    assert job.refresh() is job
    assert job.state is JobState.RUNNING


def test_refreshing_finds_an_ended_job_in_the_archive(redis_client):
    job = ended_job(data={"parcel": "books"})
    stale = Job(job.record.replace(state=JobState.RUNNING))
    redis_client.flushall()
    assert stale.refresh().state is JobState.COMPLETE and stale.data == {"parcel": "books"}
    with pytest.raises(JobNotFound):
        Job(job.record.replace(id="nobody")).refresh()


def test_refreshing_enforces_the_deadline(settings):
    settings.JOBS = settings.JOBS | {"START_TIMEOUT": 0.01}
    job = create_job()
    eventually(lambda: records.read(job.id).now > records.read(job.id).record.deadline)
    assert job.refresh().state is JobState.EXPIRED


def test_a_job_s_handler_is_told_about_it():
    job = create_job()
    assert job.handler.job is job


# Ends inside transactions


def test_a_job_that_completes_inside_a_transaction_is_ready_when_that_commits():
    job = started_job()
    with capture_events() as frames, transaction.atomic():
        Group.objects.create(name="moved")
        job.complete()
        assert again(job).state is JobState.RUNNING and frames == []
    assert again(job).state is job.state is JobState.COMPLETE
    assert event_names(frames) == ["ready"]


def test_a_failure_inside_a_transaction_takes_effect_on_commit_too():
    job = started_job()
    with transaction.atomic():
        job.fail("too heavy")
        assert again(job).state is JobState.RUNNING
    assert (again(job).state, again(job).error) == (JobState.FAILED, "too heavy")


def test_a_job_whose_transaction_is_rolled_back_has_not_ended():
    job = started_job()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        job.complete()
        raise ZeroDivisionError
    assert again(job).state is JobState.RUNNING
    job.fail("rolled back")
    assert again(job).state is JobState.FAILED


def test_who_hears_ready_sees_what_the_transaction_has_written(monkeypatch):
    seen = []
    really_write = records.write

    def write(*args, **kwargs):
        seen.extend(at_once([lambda: Group.objects.filter(name="moved").exists()]))
        return really_write(*args, **kwargs)

    job = started_job()
    with transaction.atomic():
        Group.objects.create(name="moved")
        job.complete()
        monkeypatch.setattr(records, "write", write)
    assert seen == [True]


def test_an_end_refused_on_commit_is_logged_not_raised(caplog):
    job = started_job()
    with transaction.atomic():
        job.complete()
        again(job).end(JobState.FAILED, "meanwhile")
    assert again(job).state is JobState.FAILED
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert f"job {job.id}: complete after the commit was refused" in caplog.text


def test_an_ended_job_refuses_at_once_inside_a_transaction():
    job = ended_job()
    with transaction.atomic(), pytest.raises(JobEnded):
        job.fail("no")


def test_progress_inside_a_transaction_is_seen_at_once():
    job = started_job()
    with transaction.atomic():
        job.set_progress(3, 10, "packing")
        assert again(job).progress == (3, 10, 30, "packing")


# Cancelling


@pytest.mark.parametrize("state", [JobState.PENDING, JobState.RETRYING])
def test_a_job_that_no_worker_has_is_cancelled_at_once(state):
    job = create_job()
    if state is JobState.RETRYING:
        job.start()
        job.retry(60)
    with capture_events() as frames:
        again(job).cancel()
    assert again(job).state is JobState.CANCELLED
    assert event_names(frames) == ["cancelled"]
    assert JobRecord.objects.get(pk=job.id).state == "cancelled"


def test_a_running_job_is_cancelled_by_its_next_progress_call():
    job = started_job()
    again(job).cancel()
    assert again(job).state is JobState.RUNNING and again(job).is_cancel_asked
    with pytest.raises(JobCancelled):
        job.set_progress(1)


def test_a_cancel_takes_effect_when_calls_are_throttled_too():
    job = started_job()
    job.set_progress(1)
    again(job).cancel()
    with pytest.raises(JobCancelled):
        for n in range(10_000_000):
            job.set_progress(n)


def test_cancelling_twice_is_harmless_and_cancelling_what_has_ended_is_refused():
    job = create_job()
    job.cancel()
    job.cancel()
    again(job).cancel()
    running = started_job()
    running.cancel()
    again(running).cancel()
    with pytest.raises(JobEnded):
        ended_job().cancel()


def test_a_cancel_and_a_completion_at_the_same_moment_make_one_end():
    job = create_job()
    at_once([again(job).cancel, again(job).complete])
    assert again(job).state in (JobState.CANCELLED, JobState.COMPLETE)
    assert JobRecord.objects.get(pk=job.id).state == again(job).state.value


def test_a_task_that_completes_although_it_was_asked_to_stop_is_complete():
    job = started_job()
    again(job).cancel()
    job.complete()
    assert again(job).state is JobState.COMPLETE


# Attempts


def test_a_redelivered_job_is_run_again_and_its_first_run_is_refused():
    first = started_job()
    second = again(first)
    second.start()
    assert second.attempt == 2
    for verb in (first.complete, lambda: first.data.update(x=1), lambda: first.set_progress(1)):
        with pytest.raises(JobEnded, match="attempt 1 was overtaken by 2"):
            verb()
    second.complete()
    assert again(first).state is JobState.COMPLETE


def test_a_new_attempt_starts_from_no_progress():
    job = started_job()
    job.set_progress(3, 10, "packing")
    again(job).start()
    assert again(job).progress == (0, None, None, "")


def test_a_retry_shows_its_time_and_the_attempts_left():
    job = started_job()
    job.retry(30, max_attempts=4)
    known = again(job)
    assert (known.state, known.attempt, known.max_attempts) == (JobState.RETRYING, 1, 4)
    assert 29 < (known.retry_at - known.started_at).total_seconds() < 31
    again(job).start()
    assert again(job).attempt == 2 and again(job).retry_at is None


# Leases


def test_one_of_many_gets_the_lease():
    job = ended_job()
    results = at_once([partial(take_lease, again(job), token, 30) for token in "abcdefgh"])
    assert sorted(results) == [False] * 7 + [True]


def test_a_lease_that_is_given_back_or_has_passed_can_be_taken():
    job = ended_job()
    assert take_lease(job, "a", 30) and not take_lease(again(job), "b", 30)
    give_back(job, "a")
    assert take_lease(again(job), "b", 0.01)
    eventually(lambda: take_lease(again(job), "a", 30))


def test_a_lease_is_prolonged_and_given_back_by_its_holder_alone():
    job = ended_job()
    assert take_lease(job, "a", 30) and take_lease(again(job), "a", 60)
    verbs = (
        lambda token: give_back(again(job), token),
        lambda token: mark_claimed(again(job), "/x/", token),
    )
    for verb in verbs:
        with pytest.raises(JobEnded, match="the lease has run out"):
            verb("b")
    assert again(job).record.leased_by == "a" and not again(job).claimed_url


def test_a_job_that_has_not_ended_or_was_claimed_cannot_be_leased():
    with pytest.raises(JobEnded, match="it is running"):
        take_lease(started_job(), "a", 30)
    job = ended_job()
    mark_claimed(job, "/parcels/")
    with pytest.raises(JobEnded, match="it is claimed"):
        take_lease(again(job), "a", 30)
    assert again(job).claimed_url == "/parcels/"
