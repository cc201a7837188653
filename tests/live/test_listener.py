"""A subscription needs no socket: any class that implements `Listener` can hold one."""

import json

import pytest
from asgiref.sync import sync_to_async

from jobs.access import Viewer
from jobs.core import event_names
from jobs.live.frame_writer import FrameWriter
from jobs.live.listener import Listener
from jobs.live.sent_versions import SentVersions
from jobs.live.subscription import Subscription
from jobs.push.hub import hub
from jobs.runtime.threads import in_thread
from tests import factories
from tests.factories import OWNER, eventually

pytestmark = pytest.mark.usefixtures("database_file", "nothing_left")

started_job = sync_to_async(factories.started_job)


class PlainListener:
    """A page without any transport: it keeps its frames in a list."""

    def __init__(self):
        self.sent = SentVersions()
        self.frames = []
        self.closed_with = None

    async def viewer(self, since=0.0):
        return Viewer((OWNER,))

    async def say(self, event, **fields):
        self.frames.append({"event": event, **fields})

    async def show(self, job, key, resend=False):
        self.frames.append({"event": event_names.OF_STATE[job.state], "job": {"id": job.id}})

    async def push(self, job_id, version, frame, key, resend=False):
        self.frames.append(json.loads(frame))

    async def drop(self, key, subscription):
        await subscription.close()

    async def close(self, code):
        self.closed_with = code


class TextListener(FrameWriter, PlainListener):
    """The same with the frames that a socket sends, as another text transport would do it."""

    async def write(self, text):
        self.frames.append(json.loads(text))


@pytest.fixture(params=[PlainListener, TextListener])
def listener(request) -> Listener:
    """Return a page that collects its frames in a list."""
    return request.param()


async def test_a_listener_without_a_socket_hears_that_its_job_is_ready(listener):
    job = await started_job()
    subscription = Subscription(listener, {"job": job.id}, await listener.viewer())
    await subscription.open()
    await in_thread(job.complete)
    await in_thread(eventually, lambda: len(listener.frames) == 3)
    await subscription.close()
    assert [frame["event"] for frame in listener.frames] == ["subscribed", "started", "ready"]
    assert listener.frames[-1]["job"]["id"] == job.id


async def test_a_listener_without_a_socket_is_closed_at_logout(listener):
    job = await started_job()
    subscription = Subscription(listener, {"job": job.id}, await listener.viewer())
    await subscription.open()
    await hub().hand_out({"type": "job.logout", "owner": OWNER})
    await subscription.close()
    assert listener.closed_with == 4401
