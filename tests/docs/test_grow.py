"""docs/grow.md prints the files with which tests/system/test_grown.py starts everything."""

import re

import pytest

from jobs.conf import JobsSettings

from .documents import ROOT, blocks

FILES = sorted((ROOT / "docs" / "grown").iterdir())
PRINTED = [block.text for block in blocks("docs/grow.md")]
TEXT = (ROOT / "docs" / "grow.md").read_text()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_file_is_printed_unchanged(file):
    assert file.read_text() in PRINTED


def test_every_printed_path_has_a_file():
    placed = [text for text in PRINTED if re.match(r"# (/etc|mysite)/", text)]
    assert placed
    assert set(placed) <= {file.read_text() for file in FILES}


def test_the_page_names_the_packages_that_the_test_needs():
    engines = (ROOT / "tests" / "system" / "grown" / "engines.py").read_text()
    needed = re.findall(r'^    "([a-z-]+)": ', engines, re.MULTILINE)
    (line,) = re.findall(r"^apt-get install (.+)$", TEXT, re.MULTILINE)
    assert sorted(line.split()) == sorted(needed)


def test_the_settings_that_the_page_names_exist():
    named = set(re.findall(r"`([A-Z]+_?[A-Z]+)`", TEXT)) - {"CONN_MAX_AGE"}
    assert named and named <= set(JobsSettings.__slots__)
