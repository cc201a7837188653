"""The names of events, as browsers hear them."""

from jobs.states import JobState

CREATED, STARTED, PROGRESS, RETRYING = "created", "started", "progress", "retrying"
READY, FAILED, CANCELLED, EXPIRED, LOST = "ready", "failed", "cancelled", "expired", "lost"

OF_STATE: dict[JobState, str] = {
    JobState.PENDING: CREATED,
    JobState.RUNNING: STARTED,
    JobState.RETRYING: RETRYING,
    JobState.COMPLETE: READY,
    JobState.FAILED: FAILED,
    JobState.CANCELLED: CANCELLED,
    JobState.EXPIRED: EXPIRED,
    JobState.LOST: LOST,
}
