"""Every fault and every hostile input has a test that is named after its number."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FAULTS = [f"f{number:02}" for number in range(1, 55)]  # what can go wrong in a job's life
# What people and colleagues may send
HOSTILE = [*(f"h{number:02}" for number in range(1, 25)), "h01b"]
NUMBERED = re.compile(r"test_([fh]\d+b?)_")
EXCUSES = {"skip", "skipif", "xfail"}


@cache
def numbered_tests():
    """Return each test whose name has a number, with that number."""
    trees = [ast.parse(file.read_text()) for file in HERE.rglob("test_*.py")]
    functions = [
        node
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return [
        (match[1], function) for function in functions if (match := NUMBERED.match(function.name))
    ]


@pytest.mark.parametrize("number", FAULTS + HOSTILE)
def test_each_number_has_a_test_named_after_it(number):
    assert number in {found for found, _ in numbered_tests()}


def test_no_test_is_named_after_an_unknown_number():
    assert {found for found, _ in numbered_tests()} <= {*FAULTS, *HOSTILE}


def test_no_numbered_test_is_skipped():
    marks = {
        (function.name, node.attr)
        for _, function in numbered_tests()
        for decorator in function.decorator_list
        for node in ast.walk(decorator)
        if isinstance(node, ast.Attribute)
    }
    assert [name for name, attribute in marks if attribute in EXCUSES] == []
