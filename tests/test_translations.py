"""The translations of the app and the example are complete and compiled.

Babel reads and writes the files, so gettext need not be installed. After a change of texts, edit
the `.po` files, then run `pybabel compile -d jobs/locale -D django` (for the example
`-d project/classrooms/locale`).
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
# from each folder of translations to the folders with its texts
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
    """Yield the Python files of a folder, and its templates in the form that gettext reads."""
    for file in sorted(folder.rglob("*.py")):
        if "tests" not in file.parts[len(ROOT.parts) :]:
            yield file.read_text()
    for file in sorted(folder.rglob("*.html")):
        yield re.sub(r"^\s+", "", templatize(file.read_text()), flags=re.MULTILINE)


def message_ids(locale):
    """Return every text of a catalog: a string, or singular and plural."""
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
def test_each_app_has_a_catalog_for_every_language(locale):
    assert sorted(folder.name for folder in locale.iterdir()) == LANGUAGES


@pytest.mark.parametrize(("locale", "language"), EVERY)
def test_every_text_is_translated_and_no_other(locale, language):
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
def test_translations_keep_their_placeholders(locale, language):
    for message in catalog(locale, language):
        if message.id:
            for text in strings(message):
                assert set(PLACE.findall(text)) == set(PLACE.findall(first(message.id))), (
                    message.id
                )


@pytest.mark.parametrize(("locale", "language"), EVERY)
def test_compiled_catalogs_match_their_sources(locale, language):
    compiled = io.BytesIO()
    write_mo(compiled, catalog(locale, language))
    with (locale / language / "LC_MESSAGES" / "django.mo").open("rb") as file:
        there = texts(read_mo(file))
    compiled.seek(0)
    assert there == texts(read_mo(compiled))


def test_pages_and_states_use_the_active_language():
    with translation.override("de"):
        assert str(JobState.COMPLETE.label) == "Fertig"
        assert 'data-word-offline="Sie sind offline.' in render_to_string(
            "jobs/words.html", {"names": "offline"}
        )
    with translation.override("ar"):
        assert "جاهز" in render_to_string("jobs/word.html", {"name": "complete"})
        assert "{time}" in render_to_string("jobs/words.html", {"names": "left"})
