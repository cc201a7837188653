"""Fixtures of the admin's tests."""

import pytest

from tests.factories import browser, staff


@pytest.fixture
def sam(db):
    """Return the browser of a member of staff who may watch every job."""
    return browser(user=staff("sam", "view_job"))
