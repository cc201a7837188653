"""Times of Redis's clock, in microseconds since 1970, and as people and browsers read them."""

from datetime import UTC, datetime, timedelta

# A frame is encoded before its version is known. These stand in for the version and for its time,
# and the store's script puts the real ones, of the same length, in their place.
VERSION_TO_COME = 10**15
TIME_TO_COME = "0000-00-00T00:00:00.000000+00:00"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(microseconds: int) -> str | None:
    """Return a time of the store as ISO 8601 in UTC, always 32 characters long."""
    if microseconds == VERSION_TO_COME:
        return TIME_TO_COME
    return to_datetime(microseconds).isoformat(timespec="microseconds") if microseconds else None


def to_datetime(microseconds: int) -> datetime:
    """Return a time of the store as an aware datetime."""
    return _EPOCH + timedelta(microseconds=microseconds)
