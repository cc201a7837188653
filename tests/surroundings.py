"""Surroundings for tests with threads or sockets: a database in a file, and an event loop that is left empty."""

import asyncio
import sqlite3
from contextlib import closing

import pytest
from asgiref.sync import SyncToAsync
from django.db import connections

from jobs.push.hub import hub
from jobs.store import reader


@pytest.fixture
def database_file(transactional_db, tmp_path):
    """Copy the database into a file for the length of a test.

    In SQLite's shared memory threads do not wait for each other ("table is locked"), and Django never closes it.
    Other databases are used as they are.
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
    """See after the test that nobody watches and nothing runs any more, and close the reader's connections."""
    yield
    assert hub().watchers() == set()
    if left := asyncio.all_tasks() - {asyncio.current_task()}:
        _done, left = await asyncio.wait(left, timeout=2)
    assert left == set()
    await reader.async_reader().close()
