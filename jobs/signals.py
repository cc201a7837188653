"""Signals of a job's life and of a server process. What a receiver raises is only logged."""

from django.dispatch import Signal

# The life of a job. Each is sent with `job`.
job_created = Signal()
job_started = Signal()
job_ended = Signal()

# For metrics. Each is sent in the event loop of a server process, so a receiver must not block.
socket_opened = Signal()
socket_closed = Signal()

# With `version`: when the job was written, in microseconds of Redis's clock.
push_arrived = Signal()

# With `job` as it was read, and `seen`: the version that the page had. No push brought the change.
push_missed = Signal()
