"""The socket: a gatekeeper and a relay. It checks who asks and what, and passes on what the hub hands out."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import copy_context
from time import monotonic
from typing import Any

from channels.consumer import AsyncConsumer

from jobs import signals
from jobs.access import Viewer, bearer_of, viewer_of_scope
from jobs.conf import jobs_settings
from jobs.core import events
from jobs.exceptions import JobNotFound, StoreUnavailable
from jobs.job import Job
from jobs.logs import get_logger
from jobs.push import envelope, frames

from .budget import Budget, budget_of
from .client_frames import Asked, BadFrame, parse
from .origin import is_same_origin
from .sent_versions import Told
from .subscription import Subscription

logger = get_logger(__name__)

BAD, NOT_FOUND, TOO_MANY, TRY_LATER = 4400, 4404, 4429, 4503  # close codes
MAX_SENT = (
    16 * 2**20
)  # characters; a page that reads comes back, one that never does must not fill our memory
NOTHING = "There is nothing of this name that you may listen to."

Message = dict[str, Any]


class TooMany(Exception):
    """The socket or its owner has had too many jobs read just now."""


class JobConsumer(AsyncConsumer):
    """One socket with any number of subscriptions. It has no channel of its own: the hub calls it.

    And no task, no thread and no database connection of its own, which Channels' loop keeps for each socket.
    """

    def __init__(self, job_id: str | None = None) -> None:
        self._job_id = job_id  # to be subscribed to from the start

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Serve the socket from its opening to its end."""
        self.scope, self.base_send = scope, send
        self.subscriptions: dict[str, Subscription] = {}
        self.told = Told()
        self.is_open = True
        self._opened_at = monotonic()
        self._viewer: Viewer | None = None
        self._reading_viewer = asyncio.Lock()
        self._budget = Budget()
        self._window, self._frames = 0.0, 0
        self._sent = 0
        signals.socket_opened.send_robust(JobConsumer)
        try:
            while (message := await receive())["type"] != "websocket.disconnect":
                if message["type"] == "websocket.connect":
                    await self._connect()
                elif self.is_open:
                    await self._receive(message.get("text"))
        finally:
            await self._leave()

    async def close(self, code: int) -> None:
        """Close with a code; nothing is taken or sent any more."""
        self.is_open = False
        await self._pass({"type": "websocket.close", "code": code})

    async def viewer(self, since: float = 0.0) -> Viewer:
        """Return who opened the socket, as read after `since` (monotonic clock).

        Reads user and session again before they are too old. All subscriptions that ask at the
        same moment share one reading.
        """
        async with self._reading_viewer:
            viewer = self._viewer or await viewer_of_scope(self.scope, self._opened_at)
            if viewer.is_ageing or viewer.as_of < since:
                viewer = await viewer_of_scope(self.scope)
            self._viewer = viewer
        return viewer

    async def say(self, event: str, **more: Any) -> None:
        """Send a frame of the protocol that is not about one job's state."""
        if self.is_open:
            await self._send(frames.encode({"event": event, **more}))

    async def show(self, job: Job, key: str, again: bool = False) -> None:
        """Send the state of a job as it is stored; with `again` even if this socket knows this version."""
        if self.told.is_news(job.id, job.version, key, again):
            await self.push(job.id, job.version, copy_context().run(_frame_of, job), key, again)

    async def push(
        self, job_id: str, version: int, frame: str, key: str, again: bool = False
    ) -> None:
        """Send a frame for a subscription, unless it has had it or a newer one.

        The frame names every subscription that is known to be told of this job, so each hears it once.
        """
        if self.is_open and self.told.is_news(job_id, version, key, again):
            keys = self.told.note(job_id, version, key, is_alive=not envelope.is_end(frame))
            await self._send(envelope.address(frame, keys))

    async def drop(self, subscription: Subscription) -> None:
        """End a subscription whose viewer may no longer listen, or whose job is gone."""
        if (
            self.subscriptions.get(subscription.key) is subscription
        ):  # a newer one has its own rights
            del self.subscriptions[subscription.key]
            await subscription.close()
            await self._refuse("not_found", NOTHING, subscription.target)

    async def _connect(self) -> None:
        """Accept, so that a refusal can be seen, then refuse other origins; subscribe if the address names a job."""
        await self.base_send({"type": "websocket.accept"})
        if not is_same_origin(self.scope):
            await self.close(BAD)
        elif job_id := self._job_id or self.scope.get("url_route", {}).get("kwargs", {}).get(
            "job_id"
        ):
            await self._open_for(job_id)

    async def _leave(self) -> None:
        """Leave all topics."""
        self.is_open = False
        signals.socket_closed.send_robust(JobConsumer)
        while self.subscriptions:
            _key, subscription = self.subscriptions.popitem()
            await subscription.close()

    async def _send(self, text: str) -> None:
        """Send; the server keeps what a client does not read, so a socket that has had very much is closed."""
        await self._pass({"type": "websocket.send", "text": text})
        self._sent += len(text)
        if self._sent > MAX_SENT:
            await self.close(TRY_LATER)

    async def _pass(self, message: Message) -> None:
        """Pass a message to the server; each has an exception of its own for a socket that has gone meanwhile."""
        try:
            await self.base_send(message)
        except Exception as error:
            self.is_open = False  # its disconnect is on the way
            logger.debug("a socket has gone: %r", error)

    async def _receive(self, text: str | None) -> None:
        """Take one frame of the client."""
        if text is None or len(text.encode("utf-8", "surrogatepass")) > jobs_settings().MAX_FRAME:
            await self.close(BAD)
        elif self._is_too_fast():
            await self.close(TOO_MANY)
        else:
            await self._answer(text)

    async def _open_for(self, job_id: str) -> None:
        try:
            await self._subscribe(Subscription(self, {"job": job_id}, await self.viewer()))
        except JobNotFound:
            await self.close(NOT_FOUND)
        except TooMany:
            await self.close(TOO_MANY)
        except StoreUnavailable:
            await self.close(TRY_LATER)

    async def _answer(self, text: str) -> None:
        asked = Asked("", {})
        try:
            asked = parse(text)
            await self._do(asked)
        except BadFrame as error:
            await self._refuse("bad_frame", str(error), asked.target)
        except JobNotFound:
            await self._refuse("not_found", NOTHING, asked.target)
        except TooMany as error:
            await self._refuse("too_many", str(error), asked.target)
        except StoreUnavailable:
            await self.close(TRY_LATER)

    async def _do(self, asked: Asked) -> None:
        key = frames.encode(asked.target)
        if asked.action == "ping":
            await self.say("pong")
        elif asked.action == "unsubscribe":
            if (subscription := self.subscriptions.pop(key, None)) is not None:
                await subscription.close()
            await self.say("unsubscribed", **asked.target)
        elif len({*self.subscriptions, key}) > jobs_settings().MAX_SUBSCRIPTIONS:
            await self._refuse("too_many", "Unsubscribe from something first.", asked.target)
        else:
            await self._admit(asked)

    async def _admit(self, asked: Asked) -> None:
        """Subscribe by the ticket, without asking a database; without one, or if it is not good, by the session."""
        if (bearer := bearer_of(asked.ticket) if asked.ticket else None) is not None:
            with suppress(JobNotFound):
                await self._subscribe(Subscription(self, asked.target, bearer))
                return
        await self._subscribe(Subscription(self, asked.target, await self.viewer()))

    async def _subscribe(self, subscription: Subscription) -> None:
        """Open a subscription in the place of an older one of its name.

        Raises `TooMany` if the budget of the socket or of its owner is spent.
        """
        budgets = [self._budget, *([budget_of(subscription.owner)] if subscription.owner else [])]
        if wait := max(budget.wait for budget in budgets):
            raise TooMany(f"Too many jobs at once. Subscribe again in {math.ceil(wait)} seconds.")
        old = self.subscriptions.pop(subscription.key, None)
        try:
            await subscription.open()
            self.subscriptions[subscription.key] = subscription
        finally:
            for budget in budgets:
                budget.spend(subscription.cost)
            if old is not None:
                await old.close()

    async def _refuse(self, code: str, detail: str, target: dict[str, Any]) -> None:
        await self.say("error", code=code, detail=detail, **target)

    def _is_too_fast(self) -> bool:
        if (now := monotonic()) - self._window >= 1:
            self._window, self._frames = now, 0
        self._frames += 1
        return self._frames > jobs_settings().MAX_FRAMES_PER_SECOND


def _frame_of(job: Job) -> str:
    """Return the state of a job as a frame; in a context of its own, for its language stays in the socket's else."""
    return frames.frame(events.OF_STATE[job.state], job)


class NotFoundConsumer(AsyncConsumer):
    """Answers for every other address below `SOCKET_ROUTE`."""

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Accept, so that the code can be seen, and close."""
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": NOT_FOUND})
