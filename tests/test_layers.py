"""The rows of `jobs/` (DESIGN, section 6): a module imports only from rows above, or from earlier in its own."""

import ast
from functools import cache
from pathlib import Path

import pytest

import jobs

FOLDER = Path(jobs.__file__).parent

# Rows from top to bottom; in a row of one list nobody knows a sibling, "then" starts the next list of the same row.
ROWS = """
exceptions conf states signals throttle deathwatch forking logs probe threads asked told serving resp
then backlog celery_app label database_time fields arguments plainness eager
record data handlers origin connection budget
then names
then events
then link subscriber
then indexes
store message layers once
then publisher reader
models
announce known estimates retention history neighbours
then stored
then working
then job
then detached running
then parts
then repository sweep metrics diagnosis redirects
access hub leases remote
then claim
worker subscriptions logout health doorstep rerun middleware
then attempt consumers
then submission
then tasks
then canvas views workers django_tasks
doctor
urls routing admin_pages
then admin
then testing
checks checks_project apps
"""
PLACES = {name: place for place, row in enumerate(ROWS.split("\n")) for name in row.removeprefix("then ").split()}

# Only these may import the three libraries; the first names the package to look for.
HOMES = {
    "celery": {"celery_app", "tasks", "attempt", "worker", "canvas", "parts", "workers", "remote"},
    "channels": {"layers", "consumers", "checks", "testing"},
    "redis": {"connection", "link", "subscriber"},
}


@cache
def modules():
    """Return each module of the app by its name, parsed."""
    files = [file for file in FOLDER.glob("*.py") if file.stem != "__init__"]
    return {file.stem: ast.parse(file.read_text()) for file in files}


def is_for_types(node):
    """Say whether it is an `if TYPE_CHECKING:`, which is never run."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports(node):
    """Yield the import statements that are run, wherever they stand."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif not is_for_types(child):
            yield from imports(child)


def siblings(statement):
    """Return the modules of the app that a statement imports."""
    if not isinstance(statement, ast.ImportFrom) or statement.level == 0:
        return set()
    names = [statement.module] if statement.module else [alias.name for alias in statement.names]
    return {name.split(".")[0] for name in names}


def packages(statement):
    """Return the top names of the packages that a statement imports."""
    if isinstance(statement, ast.ImportFrom):
        return {statement.module.split(".")[0]} if statement.level == 0 else set()
    return {alias.name.split(".")[0] for alias in statement.names}


def test_every_module_has_its_row():
    assert set(modules()) == set(PLACES)


def test_the_table_of_rows_names_each_module_once():
    names = ROWS.replace("then ", "").split()
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", sorted(PLACES))
def test_a_module_imports_only_from_rows_above(name):
    wanted = {sibling for statement in imports(modules()[name]) for sibling in siblings(statement)}
    assert {sibling for sibling in wanted if PLACES[sibling] >= PLACES[name]} == set()


@pytest.mark.parametrize("name", sorted(PLACES))
def test_a_module_imports_nothing_inside_a_function(name):
    functions = [
        node for node in ast.walk(modules()[name]) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert [statement for function in functions for statement in imports(function)] == []


@pytest.mark.parametrize("name", sorted(PLACES))
def test_a_module_names_its_siblings_only_by_a_relative_import(name):
    assert "jobs" not in {package for statement in imports(modules()[name]) for package in packages(statement)}


@pytest.mark.parametrize("library", HOMES)
def test_a_library_is_imported_only_where_it_belongs(library):
    users = {
        name
        for name, tree in modules().items()
        for statement in imports(tree)
        if any(package.split("_")[0] == library for package in packages(statement))
    }
    assert users == HOMES[library]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from . import events", {"events"}),
        ("from .job import Job", {"job"}),
        ("if TYPE_CHECKING:\n    from .job import Job", set()),
        ("def f():\n    from .job import Job", {"job"}),
        ("try:\n    from .job import Job\nexcept ImportError: pass", {"job"}),
    ],
)
def test_the_reader_of_imports_sees_what_is_run(source, found):
    assert {name for statement in imports(ast.parse(source)) for name in siblings(statement)} == found
