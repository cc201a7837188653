"""Our code speaks plain English: no phrase that has to be read twice."""

import re
from pathlib import Path

import pytest

import jobs

CODE = Path(jobs.__file__).parent
SCRIPTS = CODE.parent / "frontend" / "static" / "jobs"
PHRASES = (
    "whoever anew meanwhile has_been_told is_told so_many looks?_again what_is_over for_ever "
    "of_which says_if who_comes_late"
)
HARD_TO_READ = re.compile(rf"\b({'|'.join(PHRASES.split())})\b".replace("_", r"\s"), re.IGNORECASE)
FILES = [
    *(file for suffix in ("py", "lua") for file in CODE.rglob(f"*.{suffix}")),
    *(file for file in SCRIPTS.rglob("*.js") if "bundle" not in file.parts),
]


@pytest.mark.parametrize("phrase", ["whoever asks", "is told", "Looks again", "for\never"])
def test_a_phrase_that_reads_as_translated_is_found(phrase):
    assert HARD_TO_READ.search(phrase)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_has_no_phrase_that_reads_as_translated(file):
    assert HARD_TO_READ.findall(file.read_text()) == []
