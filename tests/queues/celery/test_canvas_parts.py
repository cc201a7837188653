"""A run that is replaced hands its job on: to another task, or to the parts of a canvas."""

import pytest
from celery import chain, group, shared_task

from jobs.canvas import start_canvas
from jobs.exceptions import JobError
from jobs.states import JobState
from jobs.tasks import job_task
from jobs.testing import run_job
from tests.factories import again, annas
from tests.tasks import deliver, send_parcel, try_again

from .test_current_run import task_of

pytestmark = pytest.mark.usefixtures("database_file", "runs")


@job_task
def pack(self, *names):
    """Be one part of the work; an odd one fails."""
    self.job.set_progress(1, 2)
    if "odd" in names:
        raise JobError("An odd parcel cannot be packed.")


@shared_task
def plain():
    """Be no JobTask."""


def replaced_by(signature):
    """Return a task that is replaced by the signature at its first line."""

    @task_of
    def work(self):
        return self.replace(signature)

    return work


def deliver_all(broker):
    """Run every message in the queue, and those that they send."""
    delivered = 0
    while (message := broker()) is not None:
        deliver(message)
        delivered += 1
    return delivered


def test_f52_a_task_that_replaces_itself_ends_with_what_replaces_it(broker, runs):
    job = replaced_by(send_parcel.s("books")).start_job(annas())
    deliver(broker())
    assert (again(job).state, again(job).record.runner, runs) == ("running", "", [])
    deliver(broker())
    known = again(job)
    assert (known.state, known.attempt, runs) == ("complete", 1, ["books"])
    assert known.data == {"receipt": "books sent"} and broker() is None


def test_f52_a_job_fails_with_the_error_of_what_replaces_its_task(broker):
    job = replaced_by(send_parcel.s("stones", weight=99)).start_job(annas())
    deliver_all(broker)
    assert (again(job).state, again(job).error) == ("failed", "stones is too heavy.")


def test_f52_a_job_is_replaced_in_eager_mode_too(runs):
    job = run_job(replaced_by(send_parcel.s("books")), annas())
    assert (job.state, runs, job.data) == ("complete", ["books"], {"receipt": "books sent"})
    job = run_job(replaced_by(send_parcel.s("stones", weight=99)), annas())
    assert (job.state, job.error) == ("failed", "stones is too heavy.")


def test_what_replaces_a_task_has_its_own_retries(broker, runs):
    job = replaced_by(try_again.s(0)).start_job(annas())
    deliver(broker())
    for _ in range(3):
        deliver(broker())
    assert runs == ["try"] * 3 and broker() is None
    assert (again(job).state, again(job).attempt) == ("failed", 3)


def test_many_replacements_do_not_count_as_deaths(broker):
    @task_of
    def work(self, left=9):
        return self.replace(work.s(left=left - 1)) if left else None

    job = work.start_job(annas())
    assert deliver_all(broker) == 10
    assert again(job).state is JobState.COMPLETE


@pytest.mark.parametrize("signature", [plain.s(), chain(pack.s(), plain.s()), group(plain.s())])
def test_f52_a_replacement_that_is_no_job_task_is_not_sent(
    broker,
    caplog,
    signature,
):
    job = replaced_by(signature).start_job(annas())
    deliver(broker())
    assert again(job).state is JobState.FAILED and broker() is None
    assert "plain is no JobTask" in caplog.text and "@job_task" in caplog.text


def test_f52_a_job_replaced_by_a_chain_is_ready_with_its_last_part(broker):
    job = replaced_by(chain(pack.s("books"), pack.s(), pack.s())).start_job(annas())
    deliver(broker())
    assert (again(job).state, again(job).progress[:2]) == ("running", (0, 3))
    deliver(broker()), deliver(broker())
    assert (again(job).state, again(job).progress[:2]) == ("running", (2, 3))
    deliver(broker())
    assert again(job).state is JobState.COMPLETE and broker() is None


def test_f52_a_job_replaced_by_a_chain_fails_with_a_part_that_does(broker):
    job = replaced_by(chain(pack.s("odd"), pack.s())).start_job(annas())
    assert deliver_all(broker) == 2
    assert (again(job).state, again(job).error) == ("failed", "An odd parcel cannot be packed.")


def test_f52_a_part_of_a_canvas_may_replace_itself(broker):
    part = replaced_by(pack.si("books"))
    job = start_canvas(annas(), chain(part.si(), pack.si("toys")))
    assert deliver_all(broker) == 3
    assert (again(job).state, again(job).progress[:2]) == ("complete", (2, 2))


def test_f52_a_part_replaced_by_several_ends_with_the_last_of_them(broker):
    part = replaced_by(chain(pack.si("books"), pack.si("toys")))
    job = start_canvas(annas(), chain(part.si(), pack.si("pens")))
    assert deliver_all(broker) == 4
    assert (again(job).state, again(job).progress[:2]) == ("complete", (3, 3))


def test_a_signature_that_has_replaced_a_task_can_be_used_again(broker, runs):
    signature = send_parcel.s("books")
    jobs = [replaced_by(signature).start_job(annas()) for _ in range(2)]
    deliver_all(broker)
    assert [again(job).state for job in jobs] == ["complete"] * 2 and runs == ["books"] * 2
    assert signature.options == {}


def test_a_job_that_was_asked_to_stop_is_not_replaced(broker):
    @task_of
    def work(self):
        again(self.job).cancel()
        return self.replace(pack.s())

    job = work.start_job(annas())
    deliver(broker())
    assert again(job).state is JobState.CANCELLED and broker() is None


def test_a_replacement_that_the_broker_does_not_take_fails_the_job(broker, monkeypatch):
    job = replaced_by(pack.s()).start_job(annas())
    message = broker()
    monkeypatch.setattr("celery.canvas.Signature.delay", lambda *_a, **_k: 1 / 0)
    deliver(message)
    assert again(job).state is JobState.FAILED and "reference" in again(job).error


def test_a_plain_run_may_be_replaced_by_any_task(broker, redis_client):
    replaced_by(plain.s()).delay()
    deliver(broker())
    assert broker().headers["task"] == plain.name and redis_client.dbsize() == 0


def test_a_job_that_is_replaced_by_nothing_is_complete(broker):
    job = replaced_by(group([])).start_job(annas())
    deliver(broker())
    assert again(job).state is JobState.COMPLETE


def test_a_part_that_is_replaced_by_nothing_is_done(broker):
    job = start_canvas(annas(), chain(replaced_by(group([])).si(), pack.si()))
    deliver(broker())
    assert again(job).progress[:2] == (1, 2)
    deliver_all(broker)
    assert again(job).state is JobState.COMPLETE


def test_a_chord_waits_for_the_parts_that_are_added_to_it(broker, monkeypatch):
    @task_of
    def work(self):
        self.request.chord = (
            pack.s()
        )  # as in the header of a chord; Celery needs a result backend for one
        monkeypatch.setattr(self.backend, "add_to_chord", lambda *_: None, raising=False)
        self.add_to_chord(pack.si("toys"))

    job = start_canvas(annas(), work.si())
    deliver(broker())
    assert (again(job).state, again(job).progress[:2]) == ("running", (1, 2))
    monkeypatch.undo()
    deliver(broker())
    assert again(job).state is JobState.COMPLETE
