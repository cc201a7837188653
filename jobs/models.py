"""The archive: jobs that have ended, in the database. Jobs are claimed there."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from .archive.database_time import aware_time, database_time
from .archive.fields import ExactCharField
from .core.clock import to_datetime
from .core.record import Record, from_hash, to_hash
from .states import ENDED, JobState


class JobRecordQuerySet(models.QuerySet["JobRecord"]):
    """Queries for archived jobs."""

    def store(self, record: Record) -> None:
        """Insert or update the row of an ended job. Idempotent.

        An older version never replaces a newer one. The first end stays. Only a `lost` job may get
        another outcome, until it is claimed. Raises `ValueError` if the job has not ended.
        """
        if not record.state.is_ended:
            raise ValueError(
                f"Job {record.id} is {record.state}. Only a job that has ended can be archived."
            )
        columns = self._columns(record)
        newer = self.filter(pk=record.id, version__lt=record.version, claimed_at=None)
        replaced = newer.filter(state__in=[JobState.LOST.value, record.state.value])
        if not replaced.update(**columns):
            self.bulk_create([JobRecord(pk=record.id, **columns)], ignore_conflicts=True)

    def claimed(self, job_id: str) -> JobRecord | None:
        """Wait for a claim in progress, then return the job's row if it has been claimed.

        A claim updates the row first. So this update, which changes nothing, waits for the claim
        on every database.
        """
        rows = self.filter(pk=job_id)
        rows.update(version=models.F("version"))
        return rows.exclude(claimed_at=None).first()

    def _columns(self, record: Record) -> dict[str, Any]:
        record = record.replace(leased_until=0, leased_by="")  # a lease exists only in Redis
        started_at = to_datetime(record.started_at) if record.started_at else None
        return {
            "state": record.state.value,
            "handler_class": _storable(record.handler_class)[:255],
            "owner": _storable(record.owner)[:255],
            "version": record.version,
            "created_at": database_time(to_datetime(record.created_at)),
            "started_at": database_time(started_at) if started_at else None,
            "ended_at": database_time(to_datetime(record.ended_at)),
            "stored": {_storable(name): _storable(text) for name, text in to_hash(record).items()},
        }

    def of_owner(self, owner: str) -> JobRecordQuerySet:
        """Return one owner's jobs, newest first."""
        return self.filter(owner=owner).order_by("-created_at")


class JobRecord(models.Model):
    """A job that has ended. The columns are for queries; `stored` is the hash from Redis."""

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
            # covers the daily counts
            models.Index(fields=["ended_at", "state"], name="jobs_ended_state"),
        ]

    def __str__(self) -> str:
        return f"{self.id} ({self.state})"

    def to_record(self) -> Record:
        """Return the job as Redis held it, with the claim added."""
        claimed_at = _microseconds(self.claimed_at) if self.claimed_at else 0
        return from_hash(self.pk, self.stored).replace(
            claimed_at=claimed_at, claimed_url=self.claimed_url
        )


def _microseconds(stored: datetime) -> int:
    return int(aware_time(stored).timestamp() * 1_000_000)


def _storable(text: str) -> str:
    """Return the text without NUL, which PostgreSQL refuses."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
