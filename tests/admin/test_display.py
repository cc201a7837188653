"""The admin shows short names of handlers and owners."""

import pytest

from jobs.admin.display import short_handler, shown_owner


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("project.classrooms.handlers.TransferHandler", "classrooms.TransferHandler"),
        ("reports.handlers.Outer.Inner", "reports.Outer.Inner"),
        ("elsewhere.Handler", "elsewhere.Handler"),
    ],
)
def test_a_handler_is_shown_by_app_and_class(path, name):
    assert short_handler(path) == name


def test_a_visitor_s_token_is_cut_short():
    assert shown_owner("visitor:abcdefghijkl") == "visitor:abcdef…"
    assert shown_owner("user:12345678901234567890") == "user:12345678901234567890"
