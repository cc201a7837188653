"""A task's arguments: their names, and their values as a job's data can hold them."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from inspect import Parameter, signature
from typing import Any
from uuid import UUID

from django.utils.functional import Promise
from kombu.utils.json import JSONEncoder

PLAIN = (str, int, float, bool, type(None))
ENCODER: Any = JSONEncoder()
ENVELOPE = {"__type__", "__value__"}  # kombu's JSON wraps a typed value in a dict with these keys
KINDS: dict[str, tuple[type, Callable[[Any], Any]]] = {
    "uuid": (UUID, UUID),
    "datetime": (datetime, datetime.fromisoformat),  # before date, because a datetime is one
    "date": (date, date.fromisoformat),
    "time": (time, time.fromisoformat),
    "decimal": (Decimal, Decimal),
}
OTHER = "other"  # an argument that its text cannot restore, such as a list of dates


def named(
    function: Callable[..., Any], args: Collection[Any], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return all arguments of a call by name, without the defaults.

    Raises `TypeError` for positional arguments that the function does not take.
    """
    if not args:
        return dict(kwargs)
    try:
        bound = signature(function).bind(*args, **kwargs)
    except TypeError:  # perhaps the decorator adds arguments that the inner function lacks
        bound = signature(function, follow_wrapped=False).bind(*args, **kwargs)
    arguments = bound.arguments
    for parameter in bound.signature.parameters.values():
        if parameter.kind is Parameter.VAR_POSITIONAL and parameter.name in arguments:
            arguments[parameter.name] = list(arguments[parameter.name])
        elif parameter.kind is Parameter.VAR_KEYWORD:
            arguments |= arguments.pop(parameter.name, {})
    return arguments


def call_of(
    function: Callable[..., Any], args: Collection[Any], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return all arguments of a call by name, with the defaults.

    An argument that `**kwargs` takes is there twice: by its name, and in a dict under the name of
    the `**kwargs` parameter.
    """
    parameters = signature(function).parameters
    call = named(function, args, kwargs)
    others = {name: value for name, value in call.items() if name not in parameters}
    for parameter in parameters.values():
        if parameter.kind is Parameter.VAR_KEYWORD:
            call[parameter.name] = others
        elif parameter.default is not Parameter.empty:
            call.setdefault(parameter.name, parameter.default)
    return call


def require_names(
    function: Callable[..., Any], option: str, names: Iterable[str], is_bound: bool = True
) -> None:
    """Raise `TypeError` unless a task's option names arguments of its function, without `self`."""
    if isinstance(names, str) or not isinstance(names, Collection):
        example = f": ({names!r},)" if isinstance(names, str) else ""
        raise TypeError(f"{option} is {names!r}; give a tuple of names{example}.")
    parameters = [*signature(function).parameters.values()][is_bound:]
    taken = [parameter.name for parameter in parameters]
    if any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters):
        return
    if unknown := [name for name in names if name not in taken]:
        raise TypeError(
            f"{option} names {unknown}, but {function.__name__} has no such argument; "
            f"it takes {taken}."
        )


def as_data(value: Any) -> Any:
    """Return an argument as a job's data can hold it.

    UUIDs, dates, times, Decimals, lazy strings and everything else that Celery's JSON carries
    become text. Any other value comes back unchanged, and `encode` will refuse it.
    """
    if isinstance(value, PLAIN):
        return value
    converted = False

    def convert(inner: Any) -> Any:
        nonlocal converted
        converted = True
        return _text(inner)

    try:
        json.dumps(value, default=convert)
        return _converted(value) if converted else value
    except (TypeError, ValueError, RecursionError):
        return value


def tagged(value: Any) -> Any:
    """Return plain JSON that differs if the values differ, also in type, as 1 and "1" do.

    A date and its text differ too. The order in a dict makes no difference. Raises `TypeError` for
    a value that Celery's JSON does not carry.
    """
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, dict):
        pairs = [[tagged(key), tagged(inner)] for key, inner in value.items()]
        return {"dict": sorted(pairs, key=json.dumps)}
    if isinstance(value, (list, tuple)):  # a message's JSON carries both as a list
        return [tagged(inner) for inner in value]
    if isinstance(value, Promise):
        return str(value)
    kind = _kind(value)
    return {type(value).__qualname__ if kind == OTHER else kind: tagged(_text(value))}


def kinds_of(arguments: Mapping[str, Any], data: Mapping[str, Any]) -> tuple[str, ...]:
    """Return `kind:name` for each argument that the data holds as text, for `restored`."""
    return tuple(
        f"{_kind(value)}:{name}"
        for name, value in arguments.items()
        if not isinstance(value, (*PLAIN, Promise))
        and name in data
        and _is_text_of(data[name], value)
    )


def restored(kind: str, value: Any) -> Any:
    """Return the argument whose text the data holds. Raises `ValueError` if that is impossible."""
    if kind not in KINDS or not isinstance(value, str):
        raise ValueError(f"{value!r} cannot become a {kind} again.")
    try:
        return KINDS[kind][1](value)
    except ArithmeticError as error:
        raise ValueError(f"{value!r} is no {kind}.") from error


def _is_text_of(held: Any, value: Any) -> bool:
    text = as_data(value)
    return text is not value and bool(text == held)


def _kind(value: Any) -> str:
    return next((kind for kind, (cls, _load) in KINDS.items() if isinstance(value, cls)), OTHER)


def _text(value: Any) -> Any:
    """Return a value as kombu's JSON writes it, without its type.

    Raises `TypeError` for a value that kombu's JSON does not carry.
    """
    if isinstance(value, UUID):
        return str(value)
    plain = ENCODER.default(value)
    return plain["__value__"] if isinstance(plain, dict) and plain.keys() == ENVELOPE else plain


def _converted(value: Any) -> Any:
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, dict):
        return {key: _converted(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_converted(inner) for inner in value]
    if isinstance(value, tuple):  # stays a tuple, so that the error can name its type
        return tuple(map(_converted, value))
    return _converted(_text(value))
