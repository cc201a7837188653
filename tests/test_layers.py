"""The one rule of `jobs/`: a folder or module imports only from those before it in the row."""

import ast
from functools import cache
from pathlib import Path

import pytest

import jobs

FOLDER = Path(jobs.__file__).parent

# The path of a job. Names in one line never import each other.
ROW = """
exceptions states signals
logs
runtime
conf
core
handlers
store archive
push
events
lifecycle
job
repository
access
queues live waiting upkeep
tasks middleware health metrics serving routing
canvas rerun django_tasks
views
urls testing
checks doctor admin
management templatetags apps
"""
PLACES = {name: place for place, line in enumerate(ROW.split("\n")) for name in line.split()}
ROOM_OF = {"models": "archive"}  # Django finds models by this name

# Only these may import the three libraries; the first names the package to look for.
HOMES = {
    "celery": {"tasks", "canvas", "queues"},
    "channels": {"push", "live", "checks", "testing"},
    "redis": {"store", "push"},
}


@cache
def modules():
    """Return each module of the app by its name, parsed; not what Django made."""
    files = [file for file in FOLDER.rglob("*.py") if "migrations" not in file.parts]
    return {
        name_of(file): ast.parse(file.read_text())
        for file in files
        if file.parent != FOLDER or file.stem != "__init__"
    }


def name_of(file):
    """Return a module's name below `jobs`."""
    return ".".join(file.relative_to(FOLDER).with_suffix("").parts).removesuffix(".__init__")


def room_of(name):
    """Return the folder that a module is in, or its own name at the top."""
    top = name.split(".")[0]
    return ROOM_OF.get(top, top)


def imported(name, tree):
    """Yield the modules of the app that a module imports, also if only for types."""
    package = name.split(".")[:-1]
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom):
            continue
        path = node.module.split(".") if node.module else []
        if node.level:
            path = package[: len(package) - node.level + 1] + path
        elif path[0] == "jobs":
            path = path[1:]
        else:
            continue
        for alias in node.names:
            full = ".".join([*path, alias.name])
            yield full if full in modules() else ".".join(path)


def imports(node):
    """Yield the import statements below a node."""
    return [child for child in ast.walk(node) if isinstance(child, ast.Import | ast.ImportFrom)]


def packages(statement):
    """Return the top names of the packages that a statement imports."""
    if isinstance(statement, ast.ImportFrom):
        return {statement.module.split(".")[0]} if statement.level == 0 else set()
    return {alias.name.split(".")[0] for alias in statement.names}


def test_every_room_has_its_place_in_the_row():
    assert {room_of(name) for name in modules()} == set(PLACES)


@pytest.mark.parametrize("name", sorted(modules()))
def test_a_module_imports_only_from_what_stands_before_its_room(name):
    rooms = {room_of(other) for other in imported(name, modules()[name])} - {room_of(name)}
    assert {room for room in rooms if PLACES[room] >= PLACES[room_of(name)]} == set()


def test_no_two_modules_import_each_other_not_even_for_types():
    left = {name: set(imported(name, tree)) for name, tree in modules().items()}
    while free := {name for name, wanted in left.items() if not wanted & left.keys() - {name}}:
        left = {name: wanted for name, wanted in left.items() if name not in free}
    assert left == {}


@pytest.mark.parametrize("name", sorted(modules()))
def test_a_module_imports_nothing_inside_a_function(name):
    functions = [
        node
        for node in ast.walk(modules()[name])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert [statement for function in functions for statement in imports(function)] == []


@pytest.mark.parametrize("library", HOMES)
def test_a_library_is_imported_only_where_it_belongs(library):
    users = {
        room_of(name)
        for name, tree in modules().items()
        for statement in imports(tree)
        if any(package.split("_")[0] == library for package in packages(statement))
    }
    assert users == HOMES[library]
