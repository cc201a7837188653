"""Texts and numbers as they can be stored and shown: cleaned, and of bounded length."""

from jobs.logs import get_logger

from .clock import VERSION_TO_COME

logger = get_logger(__name__)

LONGEST = {
    "header": 200,
    "message": 1000,
    "note": 200,
    "error": 2000,
}  # characters; the rest is cut off


def cut(text: object, kind: str) -> str:
    """Bound a text to the documented length of its kind."""
    string, limit = str(text), LONGEST[kind]
    if not string.isascii():
        string = string.encode("utf-8", "replace").decode()
    return string if len(string) <= limit else string[: limit - 1] + "…"


def number(value: object, least: float = 0) -> float | None:
    """Return a number that can be stored, or None for what is none."""
    if (
        isinstance(value, int | float) and least <= value < VERSION_TO_COME
    ):  # false for NaN and infinity too
        return (
            int(value) if isinstance(value, int) else float(value)
        )  # True is one, and so are a library's numbers
    return None


def clean(text: object) -> str:
    """Return any object's text as it can be stored; "" if it has none."""
    try:
        return (
            str(text)
            .encode("utf-8", "replace")
            .decode()
            .replace("\0", "\N{REPLACEMENT CHARACTER}")
        )
    except Exception:
        logger.exception("a text for a job cannot be read")
        return ""
