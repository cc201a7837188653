"""The WebSocket: it checks who asks for what, and passes on the frames of its subscriptions."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import Any

from channels.consumer import AsyncConsumer

from jobs import signals
from jobs.access import Viewer, bearer_of, viewer_of_scope
from jobs.conf import jobs_settings
from jobs.exceptions import JobNotFound, StoreUnavailable
from jobs.logs import get_logger
from jobs.push import frames
from jobs.push.watchers import Watcher

from .client_frames import BadFrame, ClientFrame, parse
from .close_codes import BAD, NOT_FOUND, TOO_MANY, TRY_LATER
from .frame_writer import FrameWriter
from .origin import is_same_origin
from .sent_versions import SentVersions
from .subscription import Subscription
from .subscriptions import Subscriptions, TooManyJobs

logger = get_logger(__name__)

# Characters. The server keeps what a client does not read, so a client that never reads would fill
# our memory. One that reads reconnects.
MAX_SENT = 16 * 2**20
NOTHING_THERE = "There is nothing of this name that you may listen to."

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class JobConsumer(FrameWriter, AsyncConsumer):
    """One socket with any number of subscriptions: the listener for WebSockets.

    Replaces: Channels' own `__call__`, which keeps a task and a channel for each socket.
    Gains: a socket opens in 0.45 of the time, and takes 0.8 of the memory.
    To be rid of it: delete `__call__`, and write `websocket_connect`, `…_receive`, `…_disconnect`.
    """

    def __init__(self, job_id: str | None = None) -> None:
        self._job_id = job_id  # to subscribe to from the start

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve the socket until it is closed."""
        self.scope, self.base_send = scope, send
        self.sent = SentVersions()
        self.subscriptions = Subscriptions()
        self.is_open = True
        self._opened_at = monotonic()
        self._viewer: Viewer | None = None
        self._reading_viewer = asyncio.Lock()
        self._window, self._frames = 0.0, 0  # the second that began there, and its frames
        self._characters = 0
        signals.socket_opened.send_robust(JobConsumer)
        try:
            while (message := await receive())["type"] != "websocket.disconnect":
                if message["type"] == "websocket.connect":
                    await self._connect()
                elif self.is_open:
                    await self._receive(message.get("text"))
        finally:
            self.is_open = False
            signals.socket_closed.send_robust(JobConsumer)
            await self.subscriptions.close_all()

    async def viewer(self, since: float = 0.0) -> Viewer:
        """Return who opened the socket, with rights read after `since` (monotonic clock).

        Reads user and session again before they are too old. All subscriptions that ask at the
        same moment share one reading.
        """
        async with self._reading_viewer:
            viewer = self._viewer or await viewer_of_scope(self.scope, self._opened_at)
            if viewer.is_ageing or viewer.as_of < since:
                viewer = await viewer_of_scope(self.scope)
            self._viewer = viewer
        return viewer

    async def write(self, text: str) -> None:
        """Send a text; close the socket if it was sent more than `MAX_SENT`."""
        await self._pass({"type": "websocket.send", "text": text})
        self._characters += len(text)
        if self._characters > MAX_SENT:
            await self.close(TRY_LATER)

    async def drop(self, key: str, subscription: Watcher) -> None:
        """End a subscription, because the viewer lost the right to it or the job is gone."""
        dropped = await self.subscriptions.drop(key, subscription)
        if dropped is not None:
            await self._refuse("not_found", NOTHING_THERE, dropped.target)

    async def close(self, code: int) -> None:
        """Close with a code. Nothing is taken or sent afterwards."""
        self.is_open = False
        await self._pass({"type": "websocket.close", "code": code})

    async def _pass(self, message: Message) -> None:
        """Give a message to the server; each server raises its own error if the socket is gone."""
        try:
            await self.base_send(message)
        except Exception as error:
            self.is_open = False  # its disconnect follows
            logger.debug("a socket is gone: %r", error)

    async def _connect(self) -> None:
        """Accept, because a browser sees the code of a close only then; refuse foreign origins."""
        await self.base_send({"type": "websocket.accept"})
        if not is_same_origin(self.scope):
            await self.close(BAD)
            return
        in_url = self.scope.get("url_route", {}).get("kwargs", {}).get("job_id")
        if job_id := self._job_id or in_url:
            await self._open_for(job_id)

    async def _open_for(self, job_id: str) -> None:
        """Subscribe to the job that the address names, by the session."""
        try:
            await self._subscribe({"job": job_id}, await self.viewer())
        except JobNotFound:
            await self.close(NOT_FOUND)
        except TooManyJobs:
            await self.close(TOO_MANY)
        except StoreUnavailable:
            await self.close(TRY_LATER)

    async def _receive(self, text: str | None) -> None:
        """Take one frame of the client."""
        if text is None or len(text.encode("utf-8", "surrogatepass")) > jobs_settings().MAX_FRAME:
            await self.close(BAD)
        elif self._is_too_fast():
            await self.close(TOO_MANY)
        else:
            await self._answer(text)

    def _is_too_fast(self) -> bool:
        if (now := monotonic()) - self._window >= 1:
            self._window, self._frames = now, 0
        self._frames += 1
        return self._frames > jobs_settings().MAX_FRAMES_PER_SECOND

    async def _answer(self, text: str) -> None:
        request = ClientFrame("", {})
        try:
            request = parse(text)
            await self._do(request)
        except BadFrame as error:
            await self._refuse("bad_frame", str(error), request.target)
        except JobNotFound:
            await self._refuse("not_found", NOTHING_THERE, request.target)
        except TooManyJobs as error:
            wait = {"retry_after": error.retry_after}
            await self._refuse("too_many", str(error), request.target | wait)
        except StoreUnavailable:
            await self.close(TRY_LATER)

    async def _do(self, request: ClientFrame) -> None:
        key = frames.encode(request.target)
        if request.action == "ping":
            await self.say("pong")
        elif request.action == "unsubscribe":
            await self.subscriptions.close(key)
            await self.say("unsubscribed", **request.target)
        elif self.subscriptions.has_room_for(key):
            await self._admit(request)
        else:
            await self._refuse("too_many", "Unsubscribe from something first.", request.target)

    async def _admit(self, request: ClientFrame) -> None:
        """Subscribe by the ticket, without a database query; else by the session."""
        if (bearer := bearer_of(request.ticket) if request.ticket else None) is not None:
            with suppress(JobNotFound):
                await self._subscribe(request.target, bearer)
                return
        await self._subscribe(request.target, await self.viewer())

    async def _subscribe(self, target: dict[str, Any], viewer: Viewer) -> None:
        await self.subscriptions.open(Subscription(self, target, viewer))

    async def _refuse(self, code: str, detail: str, fields: dict[str, Any]) -> None:
        await self.say("error", code=code, detail=detail, **fields)


class NotFoundConsumer(AsyncConsumer):
    """Answers for every other address below `SOCKET_ROUTE`."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Accept, because a browser sees the code of a close only then, and close."""
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": NOT_FOUND})
