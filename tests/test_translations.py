"""The translations are whole: every text of the app, the example and their templates, in every language, compiled.

Babel reads and writes the files, so no gettext need be installed. After a change of texts: edit the `.po` files, then
`pybabel compile -d jobs/locale -D django` (for the example `-d project/classrooms/locale`).
"""

import io
import itertools
import re
from pathlib import Path

import pytest
from babel.messages.extract import extract
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation.template import templatize

from jobs.states import JobState

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "project" / "classrooms"
LANGUAGES = ["ar", "de"]
# where the translations are, and where their texts are
CATALOGS = {
    ROOT / "jobs" / "locale": [ROOT / "jobs", ROOT / "frontend" / "templates"],
    EXAMPLE / "locale": [EXAMPLE],
}
EVERY = [
    pytest.param(place, code, id=f"{place.parent.name}-{code}")
    for place in CATALOGS
    for code in LANGUAGES
]
KEYWORDS = {
    "gettext": None,
    "gettext_lazy": None,
    "_": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
}
PLACE = re.compile(r"%\(\w+\)s")


def sources(folder):
    """Return the Python files of a folder, and its templates as gettext sees them, without their indentation."""
    for file in sorted(folder.rglob("*.py")):
        if "tests" not in file.parts[len(ROOT.parts) :]:
            yield file.read_text()
    for file in sorted(folder.rglob("*.html")):
        yield re.sub(r"^\s+", "", templatize(file.read_text()), flags=re.MULTILINE)


def message_ids(locale):
    """Return every text that a catalog is for: a string, or singular and plural."""
    texts = itertools.chain.from_iterable(map(sources, CATALOGS[locale]))
    found = (extract("python", io.BytesIO(source.encode()), KEYWORDS) for source in texts)
    return list(
        dict.fromkeys(
            message for messages in found for _line, message, _comments, _context in messages
        )
    )


def catalog(locale, language):
    with (locale / language / "LC_MESSAGES" / "django.po").open("rb") as file:
        return read_po(file, locale=language)


def first(message_id):
    return message_id if isinstance(message_id, str) else message_id[0]


@pytest.mark.parametrize("locale", CATALOGS, ids=lambda locale: locale.parent.name)
def test_the_languages_are_those_that_are_there(locale):
    assert sorted(folder.name for folder in locale.iterdir()) == LANGUAGES


@pytest.mark.parametrize(("locale", "language"), EVERY)
def test_every_text_is_translated_and_nothing_else(locale, language):
    wanted = {first(message) for message in message_ids(locale)}
    messages = [message for message in catalog(locale, language) if message.id]
    translated = {first(message.id) for message in messages if not message.fuzzy}
    empty = {first(message.id) for message in messages if not all(strings(message))}
    assert len(wanted) > 50
    assert (wanted - translated, translated - wanted, empty) == (set(), set(), set())


def texts(messages):
    return {first(message.id): strings(message) for message in messages if message.id}


def strings(message):
    return [message.string] if isinstance(message.string, str) else list(message.string)


@pytest.mark.parametrize(("locale", "language"), EVERY)
def test_translations_keep_the_places_of_the_values(locale, language):
    for message in catalog(locale, language):
        if message.id:
            for text in strings(message):
                assert set(PLACE.findall(text)) == set(PLACE.findall(first(message.id))), (
                    message.id
                )


@pytest.mark.parametrize(("locale", "language"), EVERY)
def test_the_compiled_file_is_that_of_the_source(locale, language):
    compiled = io.BytesIO()
    write_mo(compiled, catalog(locale, language))
    with (locale / language / "LC_MESSAGES" / "django.mo").open("rb") as file:
        there = texts(read_mo(file))
    compiled.seek(0)
    assert there == texts(read_mo(compiled))


def test_pages_and_states_speak_the_language_that_is_active():
    with translation.override("de"):
        assert str(JobState.COMPLETE.label) == "Fertig"
        assert 'data-word-offline="Sie sind offline.' in render_to_string(
            "jobs/words.html", {"names": "offline"}
        )
    with translation.override("ar"):
        assert "جاهز" in render_to_string("jobs/word.html", {"name": "complete"})
        assert "{time}" in render_to_string("jobs/words.html", {"names": "left"})
