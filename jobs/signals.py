"""What a server-side listener can connect to. Each is sent with `job`; a receiver's error is logged, never raised."""

from django.dispatch import Signal

job_created = Signal()
job_started = Signal()
job_ended = Signal()
