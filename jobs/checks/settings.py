"""System checks of the setting `JOBS`: its keys, and the type and range of each value."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Hazard

from jobs.conf import NAMES, JobsSettings
from jobs.store import address
from jobs.store.keys import ALLOWED_PREFIX


def check_settings(**_: Any) -> list[CheckMessage]:
    """Check every key and value of `JOBS`."""
    given = getattr(settings, "JOBS", {})
    if not isinstance(given, dict):
        return [Error(f"JOBS is a {type(given).__name__}; it must be a dict.", id="jobs.E002")]
    return [
        *_unknown_keys(given),
        *_wrong_types(given),
        *_numbers_not_above_zero(given),
        *_lost_too_early(given),
        *_malformed_redis_url(given),
        *_malformed_prefix(given),
    ]


def check_archive(**_: Any) -> list[CheckMessage]:
    """Warn if the archive is turned off."""
    if value_of("ARCHIVE"):
        return []
    hint = (
        "If Redis is emptied, on_ready may run twice. "
        "Set it to True, or silence this check if you accept that."
    )
    return [Hazard("JOBS['ARCHIVE'] is off: nothing outlives Redis.", hint=hint, id="jobs.W008")]


def value_of(name: str) -> Any:
    """Return the value of a key of `JOBS`, also if other keys are wrong, or its default."""
    given = getattr(settings, "JOBS", {})
    if isinstance(given, dict) and name in given:
        return given[name]
    return getattr(JobsSettings(), name)


def _unknown_keys(given: dict[Any, Any]) -> Iterator[CheckMessage]:
    hint = f"The keys are {', '.join(sorted(NAMES))}."
    for name in given:
        if name not in NAMES:
            yield Error(f"JOBS has no key {name!r}.", hint=hint, id="jobs.E001")


def _wrong_types(given: dict[Any, Any]) -> Iterator[CheckMessage]:
    defaults = JobsSettings()
    for field in fields(JobsSettings):
        default = getattr(defaults, field.name)
        if field.name in given and not _fits(given[field.name], default):
            shown, wanted = _shown(given[field.name], default), type(default).__name__
            yield Error(f"JOBS[{field.name!r}] is {shown}; it must be a {wanted}.", id="jobs.E002")


def _shown(value: object, default: object) -> str:
    """Show the value of a number or a flag; of anything else the type, because of passwords."""
    return repr(value) if isinstance(default, bool | int | float) else f"a {type(value).__name__}"


def _fits(value: object, default: object) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return type(value) is type(default)
    if isinstance(default, int | float):
        return isinstance(value, int | float)
    return isinstance(value, type(default))


def _numbers_not_above_zero(given: dict[Any, Any]) -> Iterator[CheckMessage]:
    for name, value in given.items():
        if name in NAMES and _fits(value, 1.0) and value <= 0:
            yield Error(f"JOBS[{name!r}] is {value!r}; it must be above 0.", id="jobs.E003")


def _lost_too_early(given: dict[Any, Any]) -> Iterator[CheckMessage]:
    heartbeat, lost_after = value_of("HEARTBEAT"), value_of("LOST_AFTER")
    if not _fits(heartbeat, 1.0) or not _fits(lost_after, 1.0) or lost_after >= 2 * heartbeat:
        return
    text = (
        f"JOBS['LOST_AFTER'] ({lost_after}) is below twice JOBS['HEARTBEAT'] ({heartbeat}): "
        "a single missed heartbeat would end a job as lost."
    )
    hint = "Raise LOST_AFTER to at least twice HEARTBEAT, or lower HEARTBEAT."
    yield Error(text, hint=hint, id="jobs.E003")


def _malformed_redis_url(given: dict[Any, Any]) -> Iterator[CheckMessage]:
    url = given.get("REDIS_URL")
    if not isinstance(url, str):
        return
    try:
        address.parse(url)
    except ValueError as error:
        text = f"JOBS['REDIS_URL'] names no Redis: {error}"
        yield Error(text, hint=address.FORMS, id="jobs.E006")


def _malformed_prefix(given: dict[Any, Any]) -> Iterator[CheckMessage]:
    prefix = given.get("PREFIX")
    if not isinstance(prefix, str) or ALLOWED_PREFIX.fullmatch(prefix):
        return
    text = f"JOBS['PREFIX'] is {prefix!r}, which cannot start the name of a channel layer group."
    hint = (
        "Use 1 to 50 of A-Z a-z 0-9 _ and -. "
        "A dot is not allowed because it separates the parts of a group's name."
    )
    yield Error(text, hint=hint, id="jobs.E008")
