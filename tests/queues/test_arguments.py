"""What a task is called with, and how its job's data holds it."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import wraps
from uuid import UUID

import pytest
from django.utils.translation import gettext_lazy, override
from kombu.utils.json import dumps, loads

from jobs.core.data import encode
from jobs.exceptions import UnserializableData
from jobs.queues.arguments import KINDS, as_data, kinds_of, named, require_names, restored

ORDER = UUID("12345678-1234-5678-1234-567812345678")
TYPED = [
    (ORDER, "12345678-1234-5678-1234-567812345678"),
    (datetime(2026, 1, 2, 3, 4, 5, 6, UTC), "2026-01-02T03:04:05.000006+00:00"),
    (datetime(2026, 1, 2, 3, 4), "2026-01-02T03:04:00"),
    (date(2026, 1, 2), "2026-01-02"),
    (time(3, 4), "03:04:00"),
    (Decimal("1.20"), "1.20"),
]


def with_client(function):
    """Add an argument, as some decorators do."""

    @wraps(function)
    def wrapper(*args, **kwargs):
        return function("client", *args, **kwargs)

    return wrapper


@with_client
def injected(client, year):
    """Take an argument that the caller does not give."""


def pack(parcel, /, weight=1, *extras, fragile=False, **labels):
    """Take every kind of argument."""


@pytest.mark.parametrize(
    ("args", "kwargs", "arguments"),
    [
        (["books"], {}, {"parcel": "books"}),
        (["books"], {"weight": 2}, {"parcel": "books", "weight": 2}),
        (
            ["books", 2, "a", "b"],
            {"fragile": True},
            {"parcel": "books", "weight": 2, "extras": ["a", "b"], "fragile": True},
        ),
        (["books"], {"post": "air"}, {"parcel": "books", "post": "air"}),
        ([], {"any": "name"}, {"any": "name"}),
    ],
)
def test_positional_arguments_get_the_names_of_the_parameters(args, kwargs, arguments):
    assert named(pack, args, kwargs) == arguments


def test_arguments_that_a_function_does_not_take_are_refused():
    with pytest.raises(TypeError, match="too many"):
        named(restored, ["uuid", "x", "y"], {})


def test_a_decorator_that_adds_an_argument_names_its_own():
    assert named(injected, [2026], {}) == {"args": [2026]}


@pytest.mark.parametrize(("value", "text"), TYPED)
def test_a_value_that_celery_carries_is_held_as_its_text(value, text):
    assert as_data(value) == text
    assert as_data({"in": [value, 1]}) == {"in": [text, 1]}
    assert as_data(loads(dumps(value))) == text  # as the worker gets it


def test_a_lazy_text_is_held_in_the_language_of_now():
    with override("de"):
        assert as_data(gettext_lazy("Yes")) == "Ja"


@pytest.mark.parametrize("value", ["x", 1, 1.5, True, None, [1, {"a": []}], {"a": None}])
def test_plain_json_is_held_as_it_is(value):
    assert as_data(value) is value


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, ("a", "b"), (ORDER,), {ORDER: 1}, float("nan"), timedelta(1)]
)
def test_a_value_that_celery_would_change_is_refused(value):
    with pytest.raises(UnserializableData, match="key"):
        encode("key", as_data(value))


def test_circular_and_deep_values_are_refused_by_the_encoder():
    circle, deep = [], "deep"
    circle.append(circle)
    for _ in range(100_000):
        deep = [deep]
    for value in (circle, deep):
        with pytest.raises(UnserializableData):
            encode("key", as_data(value))


@pytest.mark.parametrize(("value", "text"), TYPED)
def test_an_argument_is_restored_from_its_text(value, text):
    (entry,) = kinds_of({"due": value}, {"due": text})
    kind, name = entry.split(":")
    again = restored(kind, text)
    assert (name, again, type(again)) == ("due", value, type(value)) and kind in KINDS


def test_only_arguments_whose_text_the_data_holds_are_noted():
    arguments = {
        "a": ORDER,
        "b": ORDER,
        "c": "text",
        "d": gettext_lazy("Yes"),
        "e": [1],
        "f": [ORDER],
    }
    data = {"a": "another", "c": "text", "d": "Yes", "e": [1], "f": [str(ORDER)]}
    assert kinds_of(arguments, data) == ("other:f",)


@pytest.mark.parametrize(
    ("kind", "value"), [("date", "soon"), ("decimal", "x"), ("uuid", 3), ("other", "x")]
)
def test_a_text_of_another_kind_cannot_be_restored(kind, value):
    with pytest.raises(ValueError, match=str(value)):
        restored(kind, value)


def test_names_that_are_no_arguments_are_refused():
    with pytest.raises(TypeError, match=r"\['toke'\].*it takes \['kind', 'value'\]"):
        require_names(restored, "unique_on", ("toke",), is_bound=False)
    with pytest.raises(TypeError, match=r"give a tuple of names: \('kind',\)"):
        require_names(restored, "unique_on", "kind", is_bound=False)
    with pytest.raises(TypeError, match=r"\['kind'\]"):
        require_names(restored, "unique_on", ("kind",))  # takes the place of self
    require_names(restored, "unique_on", ("value",))
    require_names(pack, "unique_on", ("anything",))  # may be one of **labels
