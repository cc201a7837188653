"""What a server-side listener can connect to; a receiver's error is logged, never raised."""

from django.dispatch import Signal

# The life of a job. Each is sent with `job`.
job_created = Signal()
job_started = Signal()
job_ended = Signal()

# What a server process does, for those who measure. Sent from its event loop, so a receiver must not wait.
socket_opened = Signal()
socket_closed = Signal()
push_arrived = (
    Signal()
)  # with `version`: when the job was written, in microseconds of Redis's clock
push_missed = (
    Signal()
)  # with `job` as it was read, and `seen`, the version that the page knew: no push told it
