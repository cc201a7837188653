"""`@job_task` and `JobTask` make Celery tasks of functions and classes."""

import pytest

from jobs.exceptions import (
    HandlerNotFound,
)
from jobs.tasks import JobTask, job_task
from project.celery import app

from .factories import (
    again,
    annas,
)
from .tasks import (
    PACK,
    deliver,
)

pytestmark = pytest.mark.usefixtures("database_file", "runs")


def test_a_job_task_takes_the_options_of_celery_s_tasks():
    @job_task(name="tests.with_options", rate_limit="5/m", max_retries=7, start_timeout=3)
    def with_options(self):
        """Do nothing."""

    assert isinstance(with_options, JobTask)
    assert (with_options.name, with_options.rate_limit, with_options.max_retries) == (
        "tests.with_options",
        "5/m",
        7,
    )
    assert with_options.start_timeout == 3


def test_a_class_is_a_job_task_too(broker, runs):
    job = PACK.start_job(annas(), "books", ribbon="red")
    deliver(broker())
    known = again(job)
    assert (known.state, known.data, runs) == (
        "complete",
        {"parcel": "books", "ribbon": "red"},
        ["books in red"],
    )
    with pytest.raises(TypeError):
        PACK.start_job(annas(), colour="red")
    with pytest.raises(TypeError):
        PACK.delay()


def test_an_async_or_generator_function_is_refused_at_once():
    with pytest.raises(TypeError, match="async_to_sync"):

        @job_task
        async def export(self):
            """Be awaited."""

    with pytest.raises(TypeError, match="generator"):

        @job_task(name="tests.export")
        def export_rows(self):
            yield 1

    with pytest.raises(TypeError, match="async_to_sync"):

        class Export(JobTask):
            async def run(self):
                """Be awaited."""


def test_a_task_of_another_decorator_is_refused_when_celery_makes_it():
    with pytest.raises(TypeError, match="async_to_sync"):

        @app.task(base=JobTask, lazy=False)
        async def export():
            """Be awaited."""


def test_a_job_task_can_be_made_with_and_without_parentheses():
    @job_task
    def without(self):
        return "done"

    @job_task()
    def with_them(self):
        return "done"

    assert without() == with_them() == "done"


def test_a_handler_s_path_is_looked_up_when_a_job_is_created():
    @job_task(name="tests.of_a_handler_to_come", handler_class="tests.nowhere.HandlerToCome")
    def of_a_handler_to_come(self):
        """Do nothing."""

    with pytest.raises(HandlerNotFound, match="HandlerToCome"):
        of_a_handler_to_come.start_job(None)
    app.tasks.unregister(
        of_a_handler_to_come.name
    )  # or the system checks complain of it in later tests


@pytest.mark.parametrize("names", [("acces_token",), "access_token"])
def test_names_to_exclude_that_are_no_arguments_are_refused_at_once(names):
    with pytest.raises(TypeError, match="exclude_from_data"):

        @job_task(exclude_from_data=names)
        def forget(self, access_token):
            """Do nothing."""

    with pytest.raises(TypeError, match="exclude_from_data"):

        class Forget(JobTask):
            exclude_from_data = names

            def run(self, access_token):
                """Do nothing."""


def test_a_base_class_may_exclude_what_not_all_its_tasks_take():
    class Careful(JobTask):
        abstract = True
        exclude_from_data = ("access_token",)

    class Export(Careful):
        name = "tests.export_carefully"

        def run(self, year):
            """Do nothing."""

    assert app.register_task(Export()).start_job(None, 2026).data == {"year": 2026}
    app.tasks.unregister("tests.export_carefully")
