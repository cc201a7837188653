"""What is compared: what each subject serves, where pages connect, how its worker ends a job."""

import json
from dataclasses import dataclass
from typing import NamedTuple


class Opening(NamedTuple):
    """What one page does to be told of its job."""

    key: str
    path: str
    cookie: str
    frame: str  # sent once the socket is open, if there is one
    polls: bool = False


@dataclass(frozen=True)
class Subject:
    """One way to tell a page that its job is done."""

    name: str
    server: str  # what `python -m` runs, besides --fd
    path: str  # of a page's socket
    greetings: int  # frames that a page hears before it counts as open
    verb: str = ""  # of the worker; without one only the handshake is measured
    asks: bool = False  # a page subscribes by a frame, with a ticket
    polls: bool = False  # a page has no socket, it asks again and again
    most: int = 1_000_000  # pages that are open at a time in a round

    @property
    def is_pushed(self) -> bool:
        return bool(self.verb) and not self.polls

    def opening(self, key: str, job_id: str, cookie: str, ticket: str) -> Opening:
        """Return how a page of one job opens; the key tells it from others of the same job."""
        frame = {"action": "subscribe", "job": job_id, "ticket": ticket}
        return Opening(
            key,
            self.path.format(job_id),
            cookie,
            json.dumps(frame) if self.asks else "",
            self.polls,
        )


DAPHNE = "daphne --verbosity 0"
UVICORN_SERVER = "uvicorn --lifespan off --log-level warning --ws-per-message-deflate false"
TUTORIAL = f"{DAPHNE} tests.bench.tutorial:application"
PROJECT = "project.asgi:application"

LIMIT = Subject("limit", "tests.bench.bare", "/{}/", 1, "publish")
OURS = Subject("ours", f"{DAPHNE} {PROJECT}", "/ws/jobs/", 2, "complete", asks=True)
UVICORN = Subject(
    "ours, uvicorn", f"{UVICORN_SERVER} {PROJECT}", "/ws/jobs/", 2, "complete", asks=True
)
SESSION = Subject("ours, session", f"{DAPHNE} {PROJECT}", "/ws/jobs/{}/", 2)
PUBSUB = Subject("tutorial", TUTORIAL, "/ws/pubsub/{}/", 0, "group_send_pubsub")
CORE = Subject("tutorial, core", TUTORIAL, "/ws/core/{}/", 0, "group_send_core")
NAIVE = Subject("naive", TUTORIAL, "/ws/naive/{}/", 1)
# With more pages the server is busy with answering "not yet", and the latency is that of a queue.
POLLING = Subject(
    "polling", TUTORIAL, "/celery-progress/{}/", 0, "store_result", polls=True, most=50
)

# Who take a turn together. Never two of ours: each would hear the other's pushes on the same core.
GROUPS = ((LIMIT, OURS), (UVICORN,), (SESSION,), (PUBSUB,), (CORE,), (NAIVE,), (POLLING,))
SUBJECTS = tuple(subject for group in GROUPS for subject in group)
