"""The socket: a gatekeeper and a relay. It checks who asks and what, and passes on what the hub hands out."""

import json
import logging
from collections import OrderedDict
from contextlib import suppress
from time import monotonic
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer

from . import events, signals
from .access import Viewer, bearer_of, viewer_of_scope
from .conf import jobs_settings
from .exceptions import JobNotFound, StoreUnavailable
from .job import Job
from .origin import is_same_origin
from .subscriptions import Subscription

logger = logging.getLogger("jobs.consumers")

BAD, NOT_FOUND, TOO_MANY, TRY_LATER = 4400, 4404, 4429, 4503  # close codes
MAX_SENT = 16 * 2**20  # characters; a page that reads comes back, one that never does must not fill our memory
VERSIONS = 1000  # jobs whose last version a socket remembers
NOTHING = "There is nothing of this name that you may listen to."
TARGETS = ("job", "mine", "tag")


class BadFrame(Exception):
    """What the client sent is not of the protocol."""


class JobConsumer(AsyncWebsocketConsumer):
    """One socket with any number of subscriptions. It has no channel of its own: the hub calls it."""

    channel_layer_alias = "jobs: none"  # names no layer, so Channels makes no channel for it

    async def connect(self) -> None:
        """Accept, so that a refusal can be seen, then refuse other origins; subscribe if the address names a job."""
        self.subscriptions: dict[str, Subscription] = {}
        self.versions: OrderedDict[str, int] = OrderedDict()
        self.told: dict[str, dict[str, dict[str, Any]]] = {}  # by job: the targets that have been told of it
        self.alive: set[str] = set()  # jobs that were alive when this socket last heard of them
        self.is_open = True
        self._viewer: Viewer | None = None
        self._window, self._frames = 0.0, 0
        self._sent = 0
        await self.accept()
        signals.socket_opened.send_robust(JobConsumer)
        if not is_same_origin(self.scope):
            await self.close(BAD)
        elif "job_id" in (kwargs := self.scope["url_route"]["kwargs"]):
            await self._open_for(kwargs["job_id"])

    async def disconnect(self, code: int) -> None:
        """Leave all topics."""
        self.is_open = False
        signals.socket_closed.send_robust(JobConsumer)
        while self.subscriptions:
            _key, subscription = self.subscriptions.popitem()
            await subscription.close()

    async def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Close with a code; nothing is taken or sent any more."""
        self.is_open = False
        await super().close(code, reason)

    async def send(self, text_data: str | None = None, bytes_data: bytes | None = None, close: bool = False) -> None:
        """Send; the server keeps what a client does not read, so a socket that has had very much is closed."""
        await super().send(text_data, bytes_data, close)
        self._sent += len(text_data or "")
        if self._sent > MAX_SENT:
            await self.close(TRY_LATER)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Take one frame of the client: subscribe, unsubscribe or ping."""
        if not self.is_open:
            return
        if text_data is None or len(text_data.encode("utf-8", "surrogatepass")) > jobs_settings().MAX_FRAME:
            await self.close(BAD)
        elif self._is_too_fast():
            await self.close(TOO_MANY)
        else:
            await self._take(text_data)

    async def viewer(self, anew: bool = False) -> Viewer:
        """Return who opened the socket, by its session; looked up once it matters, or anew."""
        if anew or self._viewer is None:
            self._viewer = await viewer_of_scope(self.scope, anew)
        return self._viewer

    async def say(self, event: str, **more: Any) -> None:
        """Send a frame of the protocol that is not about one job's state."""
        if self.is_open:
            await self.send(json.dumps({"event": event, **more}))

    async def show(self, job: Job, target: dict[str, Any], again: bool = False) -> None:
        """Send the state of a job as it is stored; with `again` even if this socket knows this version."""
        if not self._has_told(job.id, job.version, target, again):
            frame = events.encode(events.frame(events.OF_STATE[job.state], job))
            await self.push(job.id, job.version, frame, target, again)

    async def push(self, job_id: str, version: int, frame: str, target: dict[str, Any], again: bool = False) -> None:
        """Send a frame for a target, unless it has had it or a newer one.

        The frame names every target that is known to be told of this job, so each hears it once.
        """
        if not self.is_open or self._has_told(job_id, version, target, again):
            return
        self.versions[job_id] = version
        self.versions.move_to_end(job_id)
        targets = self.told.setdefault(job_id, {})
        targets[_key(target)] = target
        (self.alive.discard if events.is_end(frame) else self.alive.add)(job_id)
        if len(self.versions) > VERSIONS:
            forgotten, _version = self.versions.popitem(last=False)
            self.told.pop(forgotten, None)
            self.alive.discard(forgotten)
        await self.send(events.address(frame, targets.values()))

    def alive_for(self, target: dict[str, Any]) -> list[str]:
        """Return the jobs that this target was told of when they were alive, and of whose end nobody has told it."""
        return [job_id for job_id in self.alive if _key(target) in self.told.get(job_id, {})]

    async def drop(self, subscription: Subscription) -> None:
        """End a subscription whose viewer may no longer listen, or whose job is gone."""
        if self.subscriptions.pop(_key(subscription.target), None) is not None:
            await subscription.close()
            await self._refuse("not_found", NOTHING, subscription.target)

    def _has_told(self, job_id: str, version: int, target: dict[str, Any], again: bool) -> bool:
        known = self.versions.get(job_id, 0)
        is_again = again or _key(target) not in self.told.get(job_id, {})
        return known > version or (known == version and not is_again)

    async def _open_for(self, job_id: str) -> None:
        try:
            await self._subscribe(Subscription(self, {"job": job_id}, await self.viewer()))
        except JobNotFound:
            await self.close(NOT_FOUND)
        except StoreUnavailable:
            await self.close(TRY_LATER)

    async def _take(self, text: str) -> None:
        target: dict[str, Any] = {}
        try:
            action, target, ticket = _parse(text)
            if action == "ping":
                await self.say("pong")
            elif action == "unsubscribe":
                await self._unsubscribe(target)
            elif len({*self.subscriptions, _key(target)}) > jobs_settings().MAX_SUBSCRIPTIONS:
                await self._refuse("too_many", "Unsubscribe from something first.", target)
            else:
                await self._admit(target, ticket)
        except BadFrame as error:
            await self._refuse("bad_frame", str(error), target)
        except JobNotFound:
            await self._refuse("not_found", NOTHING, target)
        except StoreUnavailable:
            await self.close(TRY_LATER)

    async def _admit(self, target: dict[str, Any], ticket: object) -> None:
        """Subscribe by the ticket, without asking a database; without one, or if it is not good, by the session."""
        if (bearer := bearer_of(ticket) if ticket else None) is not None:
            with suppress(JobNotFound):
                await self._subscribe(Subscription(self, target, bearer))
                return
        await self._subscribe(Subscription(self, target, await self.viewer()))

    async def _subscribe(self, subscription: Subscription) -> None:
        if (old := self.subscriptions.pop(_key(subscription.target), None)) is not None:
            await old.close()
        await subscription.open()
        self.subscriptions[_key(subscription.target)] = subscription

    async def _unsubscribe(self, target: dict[str, Any]) -> None:
        if (subscription := self.subscriptions.pop(_key(target), None)) is not None:
            await subscription.close()
        await self.say("unsubscribed", **target)

    async def _refuse(self, code: str, detail: str, target: dict[str, Any]) -> None:
        await self.say("error", code=code, detail=detail, **target)

    def _is_too_fast(self) -> bool:
        if (now := monotonic()) - self._window >= 1:
            self._window, self._frames = now, 0
        self._frames += 1
        return self._frames > jobs_settings().MAX_FRAMES_PER_SECOND


class NotFoundConsumer(AsyncWebsocketConsumer):
    """Answers for every address below `ws/jobs/` that is none of ours."""

    channel_layer_alias = "jobs: none"

    async def connect(self) -> None:
        """Accept, so that the code can be seen, and close."""
        await self.accept()
        await self.close(NOT_FOUND)


def _parse(text: str) -> tuple[str, dict[str, Any], object]:
    """Return the action, what it is about, and the ticket; raises `BadFrame`."""
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        raise BadFrame("A frame is a JSON object.") from None
    if not isinstance(frame, dict) or frame.get("action") not in ("subscribe", "unsubscribe", "ping"):
        raise BadFrame("A frame is an object with an action: subscribe, unsubscribe or ping.")
    if frame["action"] == "ping":
        return "ping", {}, None
    target = {name: frame[name] for name in TARGETS if name in frame}
    match target:
        case {"job": str()} | {"mine": True} | {"tag": str()} if len(target) == 1:
            return frame["action"], target, frame.get("ticket")
    raise BadFrame('Name one thing: "job": ID, "mine": true or "tag": TAG.')


def _key(target: dict[str, Any]) -> str:
    return json.dumps(target)
