"""F22, F52: Celery as it is really used: the page tells the truth each time."""

from contextlib import ExitStack

import pytest

from tests.system.harness.stack import paused


def frames_of(stack, person, task, last, **kwargs):
    """Start a job while its worker is frozen, and return every frame up to the last event."""
    with ExitStack() as page_is_open:
        with paused(stack.worker):
            job_id = person.start(task, **kwargs)
            page = page_is_open.enter_context(person.waiting_page(job_id))
            page.hear("created")
        page.hear(last, 15)
    return page.frames[1:]  # after "subscribed"


def story(frames):
    """Return the events in order, each once, and check that only the last can look done."""
    assert all((frame["job"]["progress"]["percent"] or 0) < 100 for frame in frames[:-1])
    assert all(frame["job"]["state"] not in ("complete", "failed") for frame in frames[:-1])
    events = [frame["event"] for frame in frames]
    return [
        event
        for n, event in enumerate(events)
        if event != "progress" and event not in events[n - 1 : n]
    ]


def test_f22_autoretry_is_shown_with_attempt_and_time_until_it_works(stack, person):
    frames = frames_of(stack, person, "autoretry", "ready", failures=2)
    assert story(frames) == [
        "created",
        "started",
        "retrying",
        "started",
        "retrying",
        "started",
        "ready",
    ]
    retrying = [frame["job"] for frame in frames if frame["event"] == "retrying"]
    assert [(job["attempt"], job["max_attempts"]) for job in retrying] == [(1, 3), (2, 3)]
    assert all(job["retry_at"] for job in retrying)
    assert "hunter2" not in str(frames)


def test_f22_autoretry_that_never_works_has_failed_after_its_last_attempt(stack, person):
    job_id = person.start("autoretry", failures=9)
    job = person.await_state(job_id, "failed", 10)
    assert (job["attempt"], job["max_attempts"]) == (3, 3)
    assert "hunter2" not in str(job)


def test_f22_retry_with_a_countdown_is_not_done_in_between(stack, person):
    frames = frames_of(stack, person, "retry", "ready", countdown=1)
    assert story(frames) == ["created", "started", "retrying", "started", "ready"]
    assert frames[-1]["job"]["progress"]["percent"] == 100


def test_f22_countdown_at_the_start_waits_in_words_and_then_runs(stack, person):
    job_id = person.start("hurry", {"countdown": 2.5})  # more than its start_timeout of 1.5 s
    assert person.look(job_id)["state"] == "pending"
    person.await_state(job_id, "complete")


@pytest.mark.parametrize(("catch", "state"), [(True, "complete"), (False, "failed")])
def test_f22_soft_limit_may_be_caught(stack, person, catch, state):
    job = person.await_state(person.start("soft_limit", catch=catch), state)
    assert job["error"] == ("" if catch else "The work took too long and was stopped.")
    assert job["data"].get("caught") == (True if catch else None)


def test_f22_revoked_before_it_runs_is_cancelled_when_a_worker_takes_it(stack, person):
    job_id = person.start(
        "hurry", {"countdown": 10}
    )  # Celery's command takes seconds to start on a busy machine
    stack.run_celery("control", "revoke", job_id)
    person.await_state(job_id, "cancelled", 20)
    assert not stack.pids_of(f"ran:{job_id}")


def test_f22_terminated_by_celerys_own_tool_is_cancelled(stack, person):
    job_id = person.start("sleep", seconds=60)
    stack.await_run(job_id)
    stack.run_celery("control", "terminate", "SIGKILL", job_id)
    person.await_state(job_id, "cancelled", 5)


def test_f22_message_that_expired_in_the_queue_is_an_expired_job(stack, person):
    job_id = person.start("wait", {"queue": "f22", "expires": 0.1})
    with stack.extra_worker("f22"):
        person.await_state(job_id, "expired")
    assert not stack.pids_of(f"ran:{job_id}")


@pytest.mark.parametrize("ignored", [True, False])
def test_f22_result_may_be_ignored_or_not(stack, person, ignored):
    person.await_state(person.start("sleep", {"ignore_result": ignored}, seconds=0), "complete")


@pytest.mark.parametrize("how", ["Ignore", "Reject"])
def test_f22_task_that_gives_up_in_celerys_own_way_has_failed(stack, person, how):
    person.await_state(person.start("give_up", how=how), "failed", 2)


@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_f22_pools_without_processes_run_jobs_too(stack, person, pool):
    with stack.extra_worker("f22", "--pool", pool):
        done = person.start("keep", {"queue": "f22"}, word="kept")
        failed = person.start("autoretry", {"queue": "f22"}, failures=9)
        assert person.await_state(done, "complete")["data"]["copy of word"] == "kept"
        assert person.await_state(failed, "failed")["attempt"] == 3


@pytest.mark.parametrize(
    ("by", "state"), [(["a"], "complete"), (["a", "b"], "complete"), (["odd", "b"], "failed")]
)
def test_f52_replaced_task_leaves_its_job_to_what_replaces_it(stack, person, by, state):
    job_id = person.start("be_replaced", by=by)
    assert person.await_state(job_id, state)["error"] == (
        "This part cannot be done." if state == "failed" else ""
    )
    assert len(stack.pids_of(f"replaced:{job_id}")) == 1


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_f52_threads_and_coroutines_of_a_task_have_its_own_job(stack, person, pool):
    with stack.extra_worker("f52", "--pool", pool, "-c4"):
        jobs = {
            name: person.start("use_threads", {"queue": "f52"}, name=name) for name in "abcdefgh"
        }
        for name, job_id in jobs.items():
            data = person.await_state(job_id, "complete")["data"]
            assert {data[f"thread {n}"] for n in range(4)} == {f"{name} {job_id}"}
            assert "job = self.job" in data["error"]
