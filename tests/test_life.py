"""Random lives of a job, by hypothesis: after each step the store agrees with a simple model."""

import pytest
from django.contrib.auth.models import Group
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from jobs.exceptions import JobCancelled, JobEnded
from jobs.handlers import JobHandler
from jobs.job import Job
from jobs.models import JobRecord
from jobs.repository import JobRepository
from jobs.states import ENDED, JobState
from jobs.store import client, keys
from jobs.waiting.claim import claim

from .factories import ANN, create_job, request_of

PENDING, RUNNING, RETRYING = JobState.PENDING, JobState.RUNNING, JobState.RETRYING
CANCELLED, EXPIRED, LOST = JobState.CANCELLED, JobState.EXPIRED, JobState.LOST
FINAL = sorted(ENDED - {LOST})
WORKERS = st.integers(0, 2)


class LifeHandler(JobHandler):
    """Leaves a row each time a hook runs."""

    def on_ready(self, request):
        Group.objects.create(name=f"run {Group.objects.count()}")

    on_failed = on_ready


class JobLife(RuleBasedStateMachine):
    """One job, its owner, three workers that may get its message, and a Redis that loses data."""

    def __init__(self):
        super().__init__()
        JobRecord.objects.all().delete()
        Group.objects.all().delete()
        self.job_id = create_job(handler_class=LifeHandler).id
        self.backup = client.client().hgetall(keys.job_key(self.job_id))
        self.state, self.attempt, self.data = PENDING, 0, {}
        self.is_cancel_asked = self.is_claimed = False
        self.held: dict[int, int] = {}  # by worker: the attempt that it runs
        self.handles: dict[int, Job] = {}
        self.version = 0

    def found(self):
        return JobRepository().find(self.job_id)

    def may_become(self, state):
        return self.state.may_become(state) and not self.is_claimed

    def expect(self, action, error=None):
        """Run the action; if the model expects an error, require that error."""
        if error is None:
            action()
        else:
            with pytest.raises(error):
                action()

    def holds(self, worker):
        return self.held.get(worker) == self.attempt

    @rule(worker=WORKERS)
    def deliver(self, worker):
        """A worker gets the message and starts."""
        handle = self.found()
        allowed = self.may_become(RUNNING)
        self.expect(handle.start, None if allowed else JobEnded)
        if allowed:
            self.state, self.attempt = RUNNING, self.attempt + 1
            self.held[worker], self.handles[worker] = self.attempt, handle

    def what_writing_meets(self, worker):
        """Return the error that a worker gets when it writes during its task, or None."""
        if not self.holds(worker):
            return JobEnded
        if self.state is LOST and not self.is_claimed:
            return None
        if self.state is CANCELLED:
            return JobCancelled
        return JobEnded if self.state in ENDED else None

    @precondition(lambda self: self.held)
    @rule(data=st.data(), step=st.integers(0, 5))
    def progress(self, data, step):
        worker = data.draw(st.sampled_from(sorted(self.held)))
        error = self.what_writing_meets(worker)
        handle = self.handles[worker]
        if self.is_cancel_asked:  # the worker may know of it, but not of what came later
            error = (JobCancelled, error or JobCancelled)
        self.expect(lambda: handle.set_progress(step, 5), error)
        if error is None:
            self.state = RUNNING

    @precondition(lambda self: self.held)
    @rule(data=st.data(), key=st.sampled_from("ab"), value=st.integers(0, 3))
    def write_data(self, data, key, value):
        worker = data.draw(st.sampled_from(sorted(self.held)))
        error = self.what_writing_meets(worker)
        self.expect(lambda: self.handles[worker].data.__setitem__(key, value), error)
        if error is None:
            self.data[key] = value
            self.state = RUNNING

    @precondition(lambda self: self.held)
    @rule(data=st.data(), state=st.sampled_from(FINAL))
    def end(self, data, state):
        worker = data.draw(st.sampled_from(sorted(self.held)))
        allowed = self.holds(worker) and self.may_become(state)
        self.expect(lambda: self.handles[worker].end(state), None if allowed else JobEnded)
        if allowed:
            self.state = state
        del self.held[worker]

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def retry(self, data):
        worker = data.draw(st.sampled_from(sorted(self.held)))
        allowed = self.holds(worker) and self.may_become(RETRYING)
        self.expect(lambda: self.handles[worker].retry(5), None if allowed else JobEnded)
        if allowed:
            self.state = CANCELLED if self.is_cancel_asked else RETRYING
        del self.held[worker]

    @rule()
    def cancel(self):
        job = self.found()
        if self.state is RUNNING:
            self.is_cancel_asked = True
            job.cancel()
        elif self.state is CANCELLED:
            job.cancel()
        else:
            allowed = self.may_become(CANCELLED)
            self.expect(job.cancel, None if allowed else JobEnded)
            self.state = CANCELLED if allowed else self.state

    @precondition(lambda self: self.state not in ENDED)
    @rule()
    def let_the_deadline_pass(self):
        client.client().hset(keys.job_key(self.job_id), "deadline", 1)
        self.state = LOST if self.state is RUNNING else EXPIRED

    @precondition(lambda self: self.state in ENDED)
    @rule()
    def call_back(self):
        """The owner's page posts twice; the hook runs the first time."""
        job = self.found()
        urls = {
            claim(job, request_of(dict(ANN), None, "/", HTTP_HOST="testserver")) for _ in range(2)
        }
        assert len(urls) == 1
        self.is_claimed = True

    @rule()
    def forget_everything(self):
        """Redis restarts empty; the heartbeat of a job that has not ended writes it back."""
        job = self.found()
        client.client().flushall()
        if self.state not in ENDED:
            Job(job.record).stored.restore(keep_version=True)

    @precondition(lambda self: self.state in ENDED)
    @rule()
    def go_back_to_a_backup(self):
        """Redis is restored from a backup that was made when the job was new."""
        client.client().delete(keys.job_key(self.job_id))
        client.client().hset(keys.job_key(self.job_id), mapping=self.backup)

    @invariant()
    def the_store_says_what_the_model_says(self):
        job = self.found()
        assert (job.state, job.attempt, dict(job.data)) == (self.state, self.attempt, self.data)
        assert job.version >= self.version
        if self.state in ENDED:
            # The versions that a claim made may be lost again, so they are not compared.
            assert JobRecord.objects.get().state == self.state
        else:
            self.version = job.version
        assert Group.objects.count() == int(self.is_claimed)  # the hook runs once


@pytest.mark.usefixtures("database_file")
def test_every_life_of_a_job_agrees_with_the_model(settings):
    settings.JOBS = settings.JOBS | {"READY_LEASE": 0.01, "PROGRESS_PER_SECOND": 1e9}
    limits = hypothesis_settings(
        max_examples=60,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(JobLife, settings=limits)
