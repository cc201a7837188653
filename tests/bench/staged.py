"""Our application, which also prints each push's version and arrival in ns since 1970."""

import sys
import time

from jobs.signals import push_arrived
from project.asgi import application

__all__ = ["application"]


def note(sender, version, **kwargs):
    """Print the moment, stamped before anything else is done."""
    now = time.time_ns()
    sys.stdout.write(f"push {version} {now}\n")
    sys.stdout.flush()


push_arrived.connect(note, weak=False)
