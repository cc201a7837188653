"""The registry of handlers: subclassing fills it, and no look-up imports a module."""

import sys

import pytest

from jobs.exceptions import HandlerNotFound
from jobs.handlers import JobHandler, find_handler, path_of

from .handlers import PostHandler


def test_a_handler_is_found_by_class_and_by_path():
    assert find_handler(PostHandler) is PostHandler
    assert find_handler("tests.handlers.PostHandler") is PostHandler
    assert find_handler("jobs.handlers.JobHandler") is JobHandler


def test_a_nested_handler_is_found_by_its_path():
    assert path_of(PostHandler.Express) == "tests.handlers.PostHandler.Express"
    assert find_handler("tests.handlers.PostHandler.Express") is PostHandler.Express


def test_handlers_of_installed_apps_are_loaded():
    assert (
        find_handler("project.classrooms.handlers.TransferHandler").__name__ == "TransferHandler"
    )


@pytest.mark.parametrize(
    "path",
    [
        "os.system",
        "builtins.eval",
        "tests.handlers.messages",
        "",
        "..",
        "tests.handlers.PostHandler.__init__",
    ],
)
def test_a_path_without_a_handler_is_refused(path):
    with pytest.raises(HandlerNotFound, match="No JobHandler"):
        find_handler(path)


def test_a_class_that_is_not_a_handler_is_refused():
    with pytest.raises(HandlerNotFound, match="builtins.dict"):
        find_handler(dict)


def test_looking_up_a_handler_imports_no_module(tmp_path, monkeypatch):
    (tmp_path / "sleeping_handlers.py").write_text(
        "from tests.handlers import PostHandler as SleepingHandler"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(HandlerNotFound):
        find_handler("sleeping_handlers.SleepingHandler")
    assert "sleeping_handlers" not in sys.modules


def test_the_error_says_what_to_do_and_lists_the_handlers():
    with pytest.raises(HandlerNotFound, match=r"handlers\.py.*tests\.handlers\.PostHandler"):
        find_handler("shop.handlers.GoneHandler")


def test_a_plain_handler_leads_to_the_list_of_jobs():
    handler = JobHandler(job=None)
    assert handler.next_url(None) == handler.failed_url(None) == "/jobs/"
    assert handler.public_data() == {}
    assert handler.on_ready(None) is None and handler.on_failed(None) is None
    assert str(handler.header) == "Please wait" and handler.message == ""
