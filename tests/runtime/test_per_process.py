"""Values that a process makes once and keeps."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.test import override_settings

from jobs.runtime.per_process import forget_all, per_process

BOTH = 0.2  # seconds in which a second thread would begin to make the value


@pytest.fixture
def made():
    """Return a list that grows with each value that is made."""
    return []


@pytest.fixture
def value(made):
    """Return a function whose value is kept until `JOBS` changes."""

    @per_process(reset_on="JOBS")
    def make(name="only"):
        """Say what it makes."""
        made.append(name)
        return object()

    return make


def in_child(work):
    """Fork, run `work` in the child, and return the text that it has returned."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        text = "failed"
        try:
            text = work()
        finally:
            os.write(writing, text.encode())
            os._exit(0)
    os.close(writing)
    with open(reading) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return text


def test_a_value_is_made_once_and_kept(value, made):
    assert value() is value()
    assert made == ["only"]


def test_a_value_is_kept_for_each_argument(value, made):
    assert value("one") is value("one") is not value("two")
    assert made == ["one", "two"]


def test_the_function_keeps_its_name_and_its_docstring(value):
    assert value.__name__ == "make"
    assert value.__doc__ == "Say what it makes."


def test_an_exception_is_not_kept():
    answers = [ValueError("not yet"), "ready"]

    @per_process
    def make():
        if isinstance(answer := answers.pop(0), Exception):
            raise answer
        return answer

    with pytest.raises(ValueError, match="not yet"):
        make()
    assert make() == make() == "ready"


def test_threads_that_need_a_value_at_once_share_one():
    others = threading.Barrier(2)

    @per_process
    def make():
        try:
            others.wait(BOTH)
        except threading.BrokenBarrierError:
            return object()
        raise AssertionError("two threads make the value at once")

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(lambda _: make(), range(2))
    assert first is second


def test_making_one_value_may_need_another(value):
    @per_process
    def make():
        return [value()]

    assert make() == [value()]


def test_a_changed_setting_forgets_the_values_made_of_it(value):
    before = value()
    with override_settings(JOBS={"PREFIX": "other"}):
        inside = value()
        assert inside is not before
    assert value() is not inside


def test_other_settings_forget_nothing(value):
    before = value()
    with override_settings(LANGUAGE_CODE="de"):
        assert value() is before


def test_a_value_may_depend_on_several_settings():
    @per_process(reset_on=("JOBS", "CHANNEL_LAYERS"))
    def make():
        return object()

    before = make()
    with override_settings(CHANNEL_LAYERS={}):
        assert make() is not before


def test_everything_can_be_forgotten(value, made):
    value()
    forget_all()
    value()
    assert len(made) == 2


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_makes_its_own_value(value, made):
    before = value()

    def work():
        return f"{value() is before} {len(made)}"

    assert in_child(work) == "False 2"
    assert value() is before


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_forked_while_a_thread_makes_a_value_is_not_blocked(value):
    is_making, may_end = threading.Event(), threading.Event()

    @per_process
    def slow():
        is_making.set()
        may_end.wait(10)
        return "slow"

    def work():
        answers = []
        thread = threading.Thread(target=lambda: answers.append(value()), daemon=True)
        thread.start()
        thread.join(5)
        return f"made {len(answers)}"

    thread = threading.Thread(target=slow)
    thread.start()
    assert is_making.wait(5)
    try:
        assert in_child(work) == "made 1"
    finally:
        may_end.set()
        thread.join()
