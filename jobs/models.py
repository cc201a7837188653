"""The archive: the database's record of jobs that have ended, which outlives Redis, and where a job is claimed."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from .archive.database_time import aware_time, database_time
from .archive.fields import ExactCharField
from .core.clock import to_datetime
from .core.record import Record, from_hash, to_hash
from .states import ENDED, JobState


class JobRecordQuerySet(models.QuerySet["JobRecord"]):
    """Finds and writes archived jobs."""

    def store(self, record: Record) -> None:
        """Write an ended job down; idempotent, and an older version never replaces a newer one.

        The first end stays: only a job that was given up for lost gets another outcome, until it is claimed. Raises
        `ValueError` for a job that has not ended.
        """
        if not record.state.is_ended:
            raise ValueError(
                f"Job {record.id} is {record.state}; only a job that has ended is archived."
            )
        columns = self._columns(record)
        newer = self.filter(pk=record.id, version__lt=record.version, claimed_at=None)
        replaced = newer.filter(state__in=[JobState.LOST.value, record.state.value])
        if not replaced.update(**columns):
            self.bulk_create([JobRecord(pk=record.id, **columns)], ignore_conflicts=True)

    def claimed(self, job_id: str) -> JobRecord | None:
        """Wait for a claim of this job that is under way, and return its row if it has been claimed, else None.

        A claim updates the row first. So an update, though it changes nothing, waits on every database.
        """
        rows = self.filter(pk=job_id)
        rows.update(version=models.F("version"))
        return rows.exclude(claimed_at=None).first()

    def _columns(self, record: Record) -> dict[str, Any]:
        record = record.replace(
            leased_until=0, leased_by=""
        )  # a lease is Redis's: none outlives it
        return {
            "state": record.state.value,
            "handler_class": _storable(record.handler_class)[:255],
            "owner": _storable(record.owner)[:255],
            "version": record.version,
            "created_at": database_time(to_datetime(record.created_at)),
            "started_at": database_time(to_datetime(record.started_at))
            if record.started_at
            else None,
            "ended_at": database_time(to_datetime(record.ended_at)),
            "stored": {_storable(name): _storable(text) for name, text in to_hash(record).items()},
        }

    def of_owner(self, owner: str) -> JobRecordQuerySet:
        """Return one owner's jobs, newest first."""
        return self.filter(owner=owner).order_by("-created_at")


class JobRecord(models.Model):
    """A job that has ended. The columns are for queries; `stored` is the job as Redis held it."""

    id = ExactCharField(_("id"), primary_key=True, max_length=128)
    state = models.CharField(
        _("state"), max_length=16, choices=[(s.value, s.label) for s in JobState if s in ENDED]
    )
    handler_class = ExactCharField(_("handler"), max_length=255)
    owner = ExactCharField(_("owner"), max_length=255, blank=True)
    version = models.BigIntegerField(_("version"))
    created_at = models.DateTimeField(_("created"))
    started_at = models.DateTimeField(_("started"), null=True)
    ended_at = models.DateTimeField(_("ended"))
    claimed_at = models.DateTimeField(_("claimed"), null=True)
    claimed_url = models.CharField(_("sent on to"), max_length=2000, blank=True)
    stored = models.JSONField(_("record"))

    objects = JobRecordQuerySet.as_manager()

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        permissions: ClassVar[Any] = [
            ("view_job", _("Can watch every job")),
            ("rerun_job", _("Can run a job again")),
        ]
        indexes: ClassVar[Any] = [
            models.Index(fields=["owner", "-created_at"], name="jobs_owner_created"),
            models.Index(fields=["handler_class", "-ended_at"], name="jobs_handler_ended"),
            models.Index(
                fields=["ended_at", "state"], name="jobs_ended_state"
            ),  # both are counted from it alone
        ]

    def __str__(self) -> str:
        return f"{self.id} ({self.state})"

    def to_record(self) -> Record:
        """Return the job as the store would, with what the claim has added."""
        claimed_at = (
            int(aware_time(self.claimed_at).timestamp() * 1_000_000) if self.claimed_at else 0
        )
        return from_hash(self.pk, self.stored).replace(
            claimed_at=claimed_at, claimed_url=self.claimed_url
        )


def _storable(text: str) -> str:
    """Return a text that every database takes; PostgreSQL takes no NUL."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
