"""Limits how often an action runs, and never drops the last call."""

import threading
from collections.abc import Callable
from time import monotonic


class Throttle:
    """Runs an action at most `per_second` times a second.

    A call that comes too early is made up for: `action_later` runs at the end of the interval, in
    the thread of a timer, once for all such calls.
    """

    def __init__(
        self, per_second: float, action: Callable[[], None], action_later: Callable[[], None]
    ) -> None:
        self._interval = 1 / per_second
        self._action = action
        self._action_later = action_later
        self._next = 0.0
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    def __call__(self) -> None:
        """Run the action now, or at the end of the interval."""
        if self._timer is None and self._is_due():
            self._action()

    def _is_due(self) -> bool:
        with self._lock:
            now = monotonic()
            if self._timer is not None:
                return False
            if now >= self._next:
                self._next = now + self._interval
                return True
            self._timer = threading.Timer(self._next - now, self._fire)
            self._timer.daemon = True
            self._timer.start()
            return False

    def pause(self, seconds: float) -> None:
        """Run nothing for some seconds; a call during that time runs after them."""
        self._next = monotonic() + seconds

    def stop(self) -> None:
        """Drop the call that waits, if any. May be called twice."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _fire(self) -> None:
        with self._lock:
            self._timer = None
            self._next = monotonic() + self._interval
        self._action_later()
