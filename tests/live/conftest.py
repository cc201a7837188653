"""Fixtures of the tests with sockets."""

from tests.surroundings import database_file, nothing_left  # noqa: F401 - fixtures
