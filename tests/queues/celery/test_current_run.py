"""Code that a task starts finds the job of its run, wherever context variables reach."""

import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from jobs.checks.celery_app import check_celery
from jobs.exceptions import JobCancelled
from jobs.lifecycle.detached_record import DetachedRecord
from jobs.queues.celery.current_run import current_run
from jobs.tasks import JobTask, job_task
from jobs.testing import cancel_at_start, run_job
from tests.factories import again

pytestmark = pytest.mark.usefixtures("database_file")


BODIES = []  # of `do`; the last one runs


@job_task
def do(self, **data):
    """Do what a test wants."""
    return BODIES[-1](self, **data)


def task_of(body):
    """Return a task with this body. Celery keeps every task, so all tests share one."""
    BODIES.append(body)
    return do


def in_thread(action):
    """Return what the action returns in a new thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(action).result(10)


def in_own_loop(action):
    async def call():
        return action()

    return asyncio.run(call())


def in_asyncio_thread(action):
    async def call():
        return await asyncio.to_thread(action)

    return asyncio.run(call())


def in_asyncio_tasks(action):
    async def call():
        return action()

    async def gather():
        return (await asyncio.gather(call(), call()))[1]

    return asyncio.run(gather())


def in_copied_context(action):
    context = copy_context()
    return in_thread(lambda: context.run(action))


WAYS = [
    in_own_loop,
    in_asyncio_thread,
    in_asyncio_tasks,
    in_copied_context,
    lambda action: async_to_sync(sync_to_async(action))(),
    lambda action: async_to_sync(sync_to_async(action, thread_sensitive=False))(),
]


@pytest.mark.parametrize("way", WAYS)
def test_f52_code_that_a_task_starts_has_the_job_of_its_run(way):
    @task_of
    def work(self, name):
        def write():
            before = dict(self.job.data)
            self.job.data["seen"] = [before.get("name"), self.job.id]
            self.job.set_progress(1, 2, name)

        way(write)

    for name in ("ann", "bob"):
        job = run_job(work, name=name)
        assert job.data == {"name": name, "seen": [name, job.id]}
        assert job.progress.message == name


def test_f52_a_thread_without_the_context_gets_a_clear_error_and_nobody_s_data():
    @job_task(name="tests.unreached")
    def work(self, name):
        with pytest.raises(RuntimeError, match="job = self.job") as error:
            in_thread(lambda: self.job)
        self.job.data["refused"] = str(error.value)
        job = self.job
        in_thread(lambda: job.data.update(told=name))

    for name in ("ann", "bob"):
        job = run_job(work, name=name)
        assert job.state == "complete" and job.data["told"] == name
        assert "tests.unreached" in job.data["refused"]


def test_f52_a_thread_that_outlives_its_run_loses_the_run_s_job():
    contexts = []

    @job_task(name="tests.lends")
    def work(self):
        contexts.append(copy_context())  # as a free-threaded Python gives it to a pool's thread
        if len(contexts) == 2:
            with pytest.raises(RuntimeError, match="job = self.job"):
                in_thread(lambda: contexts[0].run(lambda: self.job))

    run_job(work)
    assert run_job(work).state == "complete"


def test_f52_two_runs_of_one_task_at_once_keep_to_their_own_jobs():
    gate = threading.Barrier(2)

    @job_task(name="tests.at_once")
    def work(self, name):
        gate.wait(10)
        in_asyncio_thread(lambda: self.job.data.update(seen=self.job.data["name"]))
        gate.wait(10)

    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(run_job, work, name=name) for name in ("ann", "bob")]
        jobs = [run.result(20) for run in runs]
    assert [job.data["seen"] for job in jobs] == ["ann", "bob"]


def test_each_task_has_its_own_stack_of_requests():
    check_celery()  # it may run before the tasks are defined

    def nothing(self):
        pass

    first, second = (job_task(name=f"tests.{name}")(nothing) for name in ("first", "second"))
    assert first.request_stack is not second.request_stack
    assert not JobTask.__dict__.get("__bound__")


def test_a_task_inside_a_task_has_a_job_of_its_own():
    @job_task(name="tests.inner")
    def inner(self):
        self.job.data["inner"] = True
        return type(self.job.stored)

    @job_task(name="tests.outer")
    def outer(self):
        assert inner() is inner.apply().get() is DetachedRecord
        assert inner.run() is type(
            self.job.stored
        )  # no run of its own: a function that the task calls
        self.job.data["outer"] = True

    assert run_job(outer).data == {"outer": True, "inner": True}


def test_a_plain_run_s_coroutines_have_its_own_job():
    @job_task(name="tests.plain_coroutines")
    def work(self):
        in_own_loop(lambda: self.job.data.update(x=1))
        return dict(self.job.data)

    assert work() == work.apply().get() == {"x": 1}


def test_outside_of_a_run_there_is_no_job():
    @job_task(name="tests.nowhere")
    def work(self):
        return self.job

    assert current_run() is None
    with pytest.raises(RuntimeError, match=r"job = self\.job"):
        work.run()


def test_a_task_s_own_hooks_still_know_its_job():
    seen = []

    @job_task(name="tests.hooks", after_return=lambda self, *_: seen.append(self.job.id))
    def work(self):
        return None

    seen_by = run_job(work).id
    assert seen == [seen_by]


@pytest.fixture
def hasty_threads():
    """Let the interpreter change from one thread to another as often as it can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("hasty_threads")
def test_f52_eight_threads_of_a_task_lose_no_progress_and_no_data():
    @job_task(name="tests.many_threads")
    def work(self):
        job = self.job

        def part(number):
            for _ in range(500):
                job.increment_progress(message=f"part {number}")
            for step in range(20):
                job.data[f"{number}.{step}"] = step

        job.set_progress(0, 4000)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(part, range(8)))

    job = again(run_job(work))
    assert job.progress.current == 4000 and len(job.data) == 160


@pytest.mark.parametrize("way", WAYS)
def test_f52_a_cancel_ends_the_job_from_whatever_the_task_has_started(way):
    @task_of
    def work(self):
        way(lambda: self.job.set_progress(1, 2))

    with cancel_at_start():
        assert run_job(work).state == "cancelled"


def test_f52_a_cancel_in_a_task_group_ends_the_job():
    @job_task(name="tests.task_group")
    def work(self):
        async def step():
            self.job.set_progress(1, 2)

        async def group():
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(step())
                tasks.create_task(step())

        with pytest.raises(BaseExceptionGroup) as error:
            asyncio.run(group())
        assert error.value.subgroup(JobCancelled)
        raise error.value

    with cancel_at_start():
        assert run_job(work).state == "cancelled"
