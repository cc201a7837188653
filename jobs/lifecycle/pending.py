"""Progress and data that the task has given and the store has not taken yet."""

from collections.abc import Mapping
from typing import Any

from jobs.core.record import Record
from jobs.core.text import cut, number


class Unsaved(dict[str, str | None]):
    """Data that was assigned while the store was away.

    Holds the JSON text of each key, or None if the key was deleted.
    """

    def upon(self, texts: Mapping[str, str]) -> Mapping[str, str]:
        """Return what is stored as it will be when this has been saved."""
        if not self:
            return texts
        return {key: text for key, text in {**texts, **self}.items() if text is not None}


class Pending:
    """Progress and data that still have to be written."""

    def __init__(self) -> None:
        self.progress: dict[str, Any] = {}  # `current`, `total`, `note`
        self.data = Unsaved()

    def upon(self, record: Record) -> Record:
        """Return the record with all of it."""
        if self.data:
            record = record.replace(data=self.data.upon(record.data))
        return self.progress_upon(record)

    def progress_upon(self, record: Record) -> Record:
        """Return the record with the progress."""
        if not (given := self.progress):
            return record
        return record.replace(
            current=number(given["current"]) or 0,
            total=number(given["total"]) or None,
            note=cut(given["note"], "note"),
        )

    def forget_written(self, progress: dict[str, Any], new: Record) -> None:
        """Forget what this record holds. `progress` is the one that was known before the write."""
        if self.progress is progress and self.progress_upon(new) == new:
            self.progress = {}
        if self.data.upon(new.data) == new.data:
            self.data.clear()
