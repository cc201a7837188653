"""What makes a server process quick once everything is loaded; `make_quick()` is the last line of an `asgi.py`."""

import gc
import sys
from collections.abc import Callable
from typing import Any


def make_quick() -> None:
    """Spare a server process work that it does for each open page; harmless under any server, and when repeated.

    What is loaded by now stays for ever, so a full collection, which holds every socket up, need not look at it. And
    daphne sends a frame when it is written, as asyncio's own transports do, and not when it has asked the kernel
    whether it may: three calls and a turn of the event loop fewer for each, which is half of a server's work.
    """
    gc.collect()
    gc.freeze()
    server, protocol = sys.modules.get("daphne.server"), sys.modules.get("daphne.ws_protocol")
    if (
        server is not None and protocol is not None
    ):  # loaded by daphne alone; to import them would install a reactor
        _write_at_once(server.reactor, protocol.WebSocketProtocol)


def _write_at_once(reactor: Any, socket_class: type) -> None:
    """Have a connection of this class written to before the reactor is asked to watch it, which may not be needed."""
    watch: Callable[[Any], None] = reactor.addWriter
    if getattr(watch, "writes_at_once", False):
        return

    def add_writer(writer: Any) -> None:
        if not (isinstance(getattr(writer, "protocol", None), socket_class) and _is_sent(writer)):
            watch(writer)

    add_writer.writes_at_once = True  # type: ignore[attr-defined]  # says that it has been put here
    reactor.addWriter = add_writer


def _is_sent(writer: Any) -> bool:
    """Send what is new in an empty buffer; False leaves it all to the reactor: the rest, errors, and closing.

    What is new stands in a private place of Twisted's (`twisted.internet.abstract.FileDescriptor`). Should it move,
    nothing is found there, and the reactor does all as it always has; a test holds that we are not there yet.
    """
    if writer.dataBuffer or not getattr(writer, "_tempDataBuffer", None):
        return False
    try:
        return writer.doWrite() is None and not writer.dataBuffer
    except Exception:
        return False  # the reactor meets it again, and knows what to do
