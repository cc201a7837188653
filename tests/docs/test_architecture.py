"""docs/architecture.md names only things that exist, and shows the row of test_layers.py."""

import re
from importlib import import_module

import pytest

from tests.test_layers import ROW

from .documents import ROOT

TEXT = (ROOT / "docs" / "architecture.md").read_text()
NAMED = sorted(set(re.findall(r"`([a-z_]+(?:/[a-z_]+)*)\.([A-Za-z_]+(?:\.[a-z_]+)?)`", TEXT)))
FILES = sorted(set(re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.(?:py|lua))?)`", TEXT)))
DJANGO_S = {"lua", "md", "py"}


@pytest.mark.parametrize(("module", "name"), [pair for pair in NAMED if pair[1] not in DJANGO_S])
def test_every_function_that_the_page_names_exists(module, name):
    found = import_module("jobs." + module.replace("/", "."))
    for part in name.split("."):
        found = getattr(found, part)


@pytest.mark.parametrize("path", FILES)
def test_every_folder_that_the_page_names_exists(path):
    assert (ROOT / path).exists() or (ROOT / "jobs" / path).exists()


def test_the_page_shows_the_row_of_rooms():
    (row,) = re.findall(r"^`(core · .*)`$", TEXT, re.MULTILINE)
    groups = [re.findall(r"[a-z]+", group) for group in row.split("→")]
    places = {name: n for n, line in enumerate(ROW.split("\n")) for name in line.split()}
    order = [[places[name] for name in group] for group in groups]
    for before, after in zip(order, order[1:], strict=False):
        assert max(before) < min(after)


def test_the_picture_is_there_and_says_what_it_shows():
    picture = (ROOT / "docs" / "images" / "architecture.svg").read_text()
    assert "<title" in picture and "<desc" in picture
