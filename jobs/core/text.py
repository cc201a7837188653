"""Texts and numbers as they can be stored and shown: cleaned, and of bounded length."""

from jobs.logs import get_logger

from .clock import VERSION_TO_COME

logger = get_logger(__name__)

# Characters; the rest is cut off.
LONGEST = {"header": 200, "message": 1000, "note": 200, "error": 2000}


def cut(text: object, kind: str) -> str:
    """Bound a text to the documented length of its kind."""
    string, limit = str(text), LONGEST[kind]
    if not string.isascii():
        string = string.encode("utf-8", "replace").decode()
    return string if len(string) <= limit else string[: limit - 1] + "…"


def number(value: object, least: float = 0) -> float | None:
    """Return the value as a plain int or float, or None if it cannot be stored.

    Takes `True` and the numbers of libraries. Refuses NaN and infinity.
    """
    if not isinstance(value, int | float) or not least <= value < VERSION_TO_COME:
        return None
    return int(value) if isinstance(value, int) else float(value)


def clean(text: object) -> str:
    """Return any object's text as it can be stored, or "" if it has none."""
    try:
        storable = str(text).encode("utf-8", "replace").decode()
        return storable.replace("\0", "\N{REPLACEMENT CHARACTER}")
    except Exception:
        logger.exception("the text for a job cannot be read")
        return ""
