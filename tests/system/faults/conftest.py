"""The processes that the tests of faults share: `stack` for all of them, `person` for one."""

import pytest

from tests.system.harness.fault_stack import FaultStack


@pytest.fixture(scope="package")
def stack(prepared_database):
    """Return Redis, database, server and a worker; a test that hurts one starts its own."""
    with FaultStack(prepared_database) as stack:
        yield stack


@pytest.fixture
def person(stack):
    """Return somebody who waits."""
    return stack.person()
