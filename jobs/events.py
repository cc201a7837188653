"""What open pages hear of a job: the names of events, and the job object of each frame."""

from .core.event_names import (
    CANCELLED,
    CREATED,
    EXPIRED,
    FAILED,
    LOST,
    OF_STATE,
    PROGRESS,
    READY,
    RETRYING,
    STARTED,
)
from .push.frames import job_object

__all__ = [
    "CANCELLED",
    "CREATED",
    "EXPIRED",
    "FAILED",
    "LOST",
    "OF_STATE",
    "PROGRESS",
    "READY",
    "RETRYING",
    "STARTED",
    "job_object",
]
