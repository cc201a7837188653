"""Tests may replace a function for a while, also when their blocks overlap."""

import threading
from contextlib import ExitStack

import pytest

from jobs.runtime.replaceable import replaceable, replaced


@pytest.fixture
def greet():
    """Return a function that can be replaced."""

    @replaceable
    def greet(name):
        """Greet somebody."""
        return f"Hello, {name}"

    return greet


def shout(name):
    return f"HELLO, {name.upper()}"


def whisper(name):
    return f"psst, {name}"


def test_a_function_without_a_replacement_is_called_itself(greet):
    assert (greet("Ann"), greet.__name__, greet.__doc__) == (
        "Hello, Ann",
        "greet",
        "Greet somebody.",
    )


def test_a_replacement_ends_with_its_block(greet):
    with replaced(greet, shout):
        assert greet("Ann") == "HELLO, ANN"
    assert greet("Ann") == "Hello, Ann"


def test_a_block_that_raises_takes_its_replacement_along(greet):
    with pytest.raises(ZeroDivisionError), replaced(greet, shout):
        raise ZeroDivisionError
    assert greet("Ann") == "Hello, Ann"


def test_a_function_that_was_not_made_for_it_is_refused():
    with pytest.raises(KeyError), replaced(shout, whisper):
        pass


def test_of_two_replacements_the_newest_is_called(greet):
    with replaced(greet, shout):
        with replaced(greet, whisper):
            assert greet("Ann") == "psst, Ann"
        assert greet("Ann") == "HELLO, ANN"


@pytest.mark.parametrize("second", [shout, whisper])
def test_blocks_that_end_out_of_order_leave_nothing_behind(greet, second):
    first, last = ExitStack(), ExitStack()
    first.enter_context(replaced(greet, shout))
    last.enter_context(replaced(greet, second))
    first.close()
    assert greet("Ann") == second("Ann")
    last.close()
    assert greet("Ann") == "Hello, Ann"


def test_another_thread_sees_the_replacement(greet):
    heard = []
    with replaced(greet, shout):
        thread = threading.Thread(target=lambda: heard.append(greet("Ann")))
        thread.start()
        thread.join(10)
    assert heard == ["HELLO, ANN"]


def test_blocks_in_many_threads_leave_nothing_behind(greet):
    start = threading.Barrier(8)

    def use():
        start.wait(10)
        for _ in range(200):
            with replaced(greet, shout):
                assert greet("Ann") == "HELLO, ANN"

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert greet("Ann") == "Hello, Ann"
