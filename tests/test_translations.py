"""The translations are whole: every text of the app and its templates, in every language, compiled.

Babel reads and writes the files, so no gettext need be installed. After a change of texts: edit the `.po` files, then
`pybabel compile -d jobs/locale -D django`.
"""

import io
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
LOCALE = ROOT / "jobs" / "locale"
LANGUAGES = ["ar", "de"]
KEYWORDS = {"gettext": None, "gettext_lazy": None, "_": None, "ngettext": (1, 2), "ngettext_lazy": (1, 2)}
PLACE = re.compile(r"%\(\w+\)s")


def message_ids():
    """Return every text of the app: a string, or singular and plural."""
    sources = [file.read_text() for file in sorted((ROOT / "jobs").rglob("*.py"))]
    templates = sorted((ROOT / "frontend" / "templates" / "jobs").rglob("*.html"))
    sources += [templatize(file.read_text()) for file in templates]
    found = (extract("python", io.BytesIO(source.encode()), KEYWORDS) for source in sources)
    return list(dict.fromkeys(message for messages in found for _line, message, _comments, _context in messages))


def catalog(language):
    with (LOCALE / language / "LC_MESSAGES" / "django.po").open("rb") as file:
        return read_po(file, locale=language)


def first(message_id):
    return message_id if isinstance(message_id, str) else message_id[0]


def test_the_languages_are_those_that_are_there():
    assert sorted(folder.name for folder in LOCALE.iterdir()) == LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated_and_nothing_else(language):
    wanted = {first(message) for message in message_ids()}
    translated = {first(message.id) for message in catalog(language) if message.id and not message.fuzzy}
    empty = {first(message.id) for message in catalog(language) if message.id and not all(strings(message))}
    assert (wanted - translated, translated - wanted, empty) == (set(), set(), set())


def texts(messages):
    return {first(message.id): strings(message) for message in messages if message.id}


def strings(message):
    return [message.string] if isinstance(message.string, str) else list(message.string)


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_keep_the_places_of_the_values(language):
    for message in catalog(language):
        if message.id:
            for text in strings(message):
                assert set(PLACE.findall(text)) == set(PLACE.findall(first(message.id))), message.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_file_is_that_of_the_source(language):
    compiled = io.BytesIO()
    write_mo(compiled, catalog(language))
    with (LOCALE / language / "LC_MESSAGES" / "django.mo").open("rb") as file:
        there = texts(read_mo(file))
    compiled.seek(0)
    assert there == texts(read_mo(compiled))


def test_pages_and_states_speak_the_language_that_is_active():
    with translation.override("de"):
        assert str(JobState.COMPLETE.label) == "Fertig"
        assert 'data-word-offline="Sie sind offline.' in render_to_string("jobs/words.html", {"names": "offline"})
    with translation.override("ar"):
        assert "جاهز" in render_to_string("jobs/word.html", {"name": "complete"})
        assert "{time}" in render_to_string("jobs/words.html", {"names": "left"})
