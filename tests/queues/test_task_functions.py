"""A function that Celery would not run is refused as early as possible."""

from functools import partial, wraps

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from jobs.queues.task_functions import finished, require_plain


async def coroutine():
    """Be awaited."""


def generator():
    yield 1


async def asynchronous_generator():
    yield 1


def passed_on(function):
    """Decorate a function without a thought for coroutines."""
    return wraps(function)(lambda *args: function(*args))


class Methods:
    async def run(self):
        """Be awaited."""


@pytest.mark.parametrize(
    "function",
    [
        coroutine,
        generator,
        asynchronous_generator,
        partial(coroutine),
        partial(partial(generator)),
        Methods.run,
        Methods().run,
        sync_to_async(lambda: None),
    ],
)
def test_a_function_that_celery_would_not_run_is_refused(function):
    with pytest.raises(TypeError, match="async_to_sync"):
        require_plain(function)


@pytest.mark.parametrize(
    "function", [passed_on, partial(passed_on, None), len, async_to_sync(coroutine)]
)
def test_a_plain_function_is_accepted(function):
    require_plain(function)


def test_a_decorator_that_runs_its_coroutine_is_accepted():
    @wraps(coroutine)
    def run():
        return async_to_sync(coroutine)()

    require_plain(run)
    assert finished(run()) is None


@pytest.mark.parametrize("function", [coroutine, generator, asynchronous_generator])
def test_a_result_that_never_ran_is_refused(function):
    with pytest.raises(TypeError, match=rf"{function.__name__.split('_')[-1]}.*has never run"):
        finished(passed_on(function)())
