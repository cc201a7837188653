"""Fixtures of all tests. The Redis comes from the plugin tests/embedded.py.

Fixtures with real processes and a browser are in tests/system/conftest.py.
"""

import asyncio
import sqlite3
import sys
import venv
from contextlib import closing

import pytest
from asgiref.sync import SyncToAsync
from django.db import connections

from jobs.push.hub import hub
from jobs.store import reader
from project.celery import app

from .docs.documents import ROOT
from .tasks import RUNS
from .wheels import give_dependencies, run


@pytest.fixture
def database_file(transactional_db, tmp_path):
    """Copy SQLite's in-memory database into a file for the length of a test.

    In SQLite's shared memory, threads do not wait for each other ("table is locked"), and Django
    never closes it. Other databases are used as they are.
    """
    memory = connections["default"]
    if memory.vendor != "sqlite":
        yield
        return
    name, file = memory.settings_dict["NAME"], str(tmp_path / "db.sqlite3")
    with closing(sqlite3.connect(file)) as copy:
        memory.connection.backup(copy)
    connections.settings["default"]["NAME"] = file
    del connections["default"]
    yield
    SyncToAsync.single_thread_executor.submit(connections.close_all).result()
    connections.close_all()
    connections.settings["default"]["NAME"] = name
    connections["default"] = memory


@pytest.fixture
async def nothing_left(settings):
    """After the test, check that no watcher and no async task is left, and close the reader."""
    yield
    assert hub().watchers() == set()
    if left := asyncio.all_tasks() - {asyncio.current_task()}:
        _done, left = await asyncio.wait(left, timeout=2)
    assert left == set()
    await reader.async_reader().close()


@pytest.fixture
def runs():
    """Return the empty list of what tasks have run."""
    RUNS.clear()
    return RUNS


@pytest.fixture
def broker():
    """Return a function that takes the next message out of the queue, or None."""
    with app.connection_for_read() as connection, connection.SimpleQueue("celery") as queue:

        def take():
            try:
                message = queue.get(block=False)
            except queue.Empty:
                return None
            message.ack()
            return message

        yield take


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """Build the wheel with the installed tools, without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    run(
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(folder),
        str(ROOT),
    )
    return next(folder.glob("django_waitroom-*.whl"))


@pytest.fixture(scope="session")
def installed_python(wheel, tmp_path_factory):
    """Return the Python of an environment that has the wheel and does not see the checkout."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder, symlinks=True, with_pip=True)
    python = folder / "bin" / "python"
    run(str(python), "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", str(wheel))
    give_dependencies(folder)
    return python
