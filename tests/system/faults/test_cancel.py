"""F21: cancelling at every moment; F15: nobody to do the work."""


def test_f21_job_that_was_cancelled_with_all_workers_down_never_runs(stack, person):
    job_id = person.start("wait", {"queue": "f21"})
    assert person.press("cancel", job_id).json()["job"]["state"] == "cancelled"
    with stack.extra_worker("f21") as worker:
        worker.await_line(f"task not run: .*{job_id}", 5)
    assert not stack.pids_of(f"ran:{job_id}")
    assert person.look(job_id)["state"] == "cancelled"


def test_f21_a_job_that_retries_every_error_stops_at_its_next_progress(stack, person):
    job_id = person.start("count")
    stack.await_run(job_id)
    assert person.press("cancel", job_id).json()["job"]["state"] == "running"
    person.await_state(job_id, "cancelled", 2)
    assert person.press("cancel", job_id).status_code == 200  # twice is harmless
    with stack.broker_client() as client:
        assert not client.llen("celery")
    assert len(stack.pids_of(f"ran:{job_id}")) == 1


def test_f21_job_that_waits_for_its_next_attempt_is_cancelled_at_once(stack, person):
    job_id = person.start("retry", countdown=2)
    person.await_state(job_id, "retrying")
    assert person.press("cancel", job_id).json()["job"]["state"] == "cancelled"
    stack.worker.await_line(f"task not run: .*{job_id}", 5)
    assert person.look(job_id)["state"] == "cancelled"


def test_f21_job_that_is_cancelled_while_it_ends_has_one_end(stack, person):
    for _ in range(5):
        job_id = person.start("work")
        stack.await_run(job_id)
        with person.waiting_page(job_id) as page:
            stack.open_gate(job_id)
            person.press("cancel", job_id)
            ended = page.hear_the_end()
        assert person.look(job_id)["state"] == ended["job"]["state"] in ("complete", "cancelled")
        assert person.look(job_id)["version"] == ended["job"]["version"]


def test_f21_nobody_else_may_cancel(stack, person):
    job_id = person.start("work")
    stack.await_run(job_id)
    assert stack.person().press("cancel", job_id).status_code == 404
    assert person.look(job_id)["state"] == "running"
    stack.open_gate(job_id)
    person.await_state(job_id, "complete")


def test_f21_staff_may_cancel_and_have_a_task_killed_that_does_not_listen(stack, person):
    job_id = person.start("sleep", seconds=60)
    stack.await_run(job_id)
    staff = stack.staff()
    assert (
        staff.press("cancel", job_id, terminate="1").json()["job"]["state"] == "running"
    )  # not yet asked
    assert (
        person.press("cancel", job_id, terminate="1").json()["job"]["state"] == "running"
    )  # not staff
    assert staff.press("cancel", job_id, terminate="1").status_code == 200
    person.await_state(job_id, "cancelled", 5)


def test_f15_job_without_a_worker_says_so_then_expires_and_never_runs(stack, person):
    job_id = person.start("hurry", {"queue": "f15"})
    assert "Waiting for a worker" in person.client.get(f"/jobs/{job_id}/").text
    with person.waiting_page(job_id) as page:
        assert page.hear("expired", 1.5 + 1 + 1.5)["job"]["state"] == "expired"
    with stack.extra_worker("f15") as worker:
        worker.await_line(f"task not run: .*{job_id}", 5)
    assert not stack.pids_of(f"ran:{job_id}")


def test_f15_job_in_a_long_queue_expires_though_a_worker_runs(stack, person):
    with stack.extra_worker("f15", "-c1") as worker:
        first = person.start("wait", {"queue": "f15"})
        stack.await_run(first)
        second = person.start("hurry", {"queue": "f15"})
        person.await_state(second, "expired", 1.5 + 1)
        stack.open_gate(first)
        person.await_state(first, "complete")
        worker.await_line(f"task not run: .*{second}", 5)
    assert not stack.pids_of(f"ran:{second}")
