"""Writes a job's data, and keeps what the store does not take for later."""

from __future__ import annotations

from jobs.conf import jobs_settings
from jobs.core import transitions
from jobs.core.data import JobData, check_size
from jobs.core.record import Record
from jobs.exceptions import StoreUnavailable
from jobs.logs import get_logger
from jobs.runtime.backlog import backlog_for

from .pending import Unsaved
from .stored_record import StoredRecord

logger = get_logger(__name__)


class DataWriter:
    """Saves the data of one job, key by key."""

    def __init__(self, stored: StoredRecord) -> None:
        self._stored = stored
        self._pending = stored.pending

    def mapping(self) -> JobData:
        """Return the data as a mapping; each assignment is saved at once."""
        job, pending = self._stored.job, self._pending
        return JobData(lambda: pending.data.upon(job.record.data), self.write)

    def write(self, key: str, text: str | None) -> None:
        """Save the JSON text of one key; None deletes it. Raises `UnserializableData`.

        Raises `StoreUnavailable`, except in the process that runs the job's task. That process
        keeps the data until the store takes it.
        """

        def with_key(record: Record) -> Record:
            data = Unsaved({**self._pending.data, key: text}).upon(record.data)
            if text is not None:
                check_size(data, jobs_settings().MAX_DATA)
            return record.replace(data=data)

        stored = self._stored
        transition = transitions.save_data(stored.is_held, with_key)
        if stored.is_draft:
            stored.job.record = transition(stored.job.record, stored.job.now).record
            return
        try:
            stored.apply(transition)
        except StoreUnavailable as problem:
            if not stored.is_held:
                raise
            self._keep(key, text, problem)

    def _keep(self, key: str, text: str | None, problem: StoreUnavailable) -> None:
        """Keep what our own work has found out; the job's next write takes it along."""
        logger.warning("job %s: data[%r] is kept for later: %s", self._stored.job.id, key, problem)
        with self._stored.lock:
            if not self._pending.data:
                backlog_for(problem).add(self._save_kept)
            self._pending.data[key] = text

    def _save_kept(self) -> None:
        stored = self._stored
        with stored.lock:
            if self._pending.data and not stored.job.is_ended:
                stored.apply(transitions.save_data(stored.is_held, self._pending.upon))
