"""Sends scripts over one connection that this process keeps for them.

Replaces: redis-py's `execute_command`, which takes a connection from the pool for each command.
Gains: `complete()` takes 185 µs instead of 231, and 132 µs of CPU instead of 178 (without the
archive; medians of 7,333 calls each, taken in turn; redis-py 8.1 without hiredis).
To be rid of it: delete this module; `scripts.run` then calls `client().execute_command`.
"""

import threading
from collections.abc import Sequence
from typing import Any

import redis
from redis.exceptions import ResponseError

from jobs.runtime.per_process import per_process

from .client import client
from .resp import pack


class KeptConnection:
    """One connection from the client's pool, which the first caller takes and keeps.

    A caller that finds it in use goes by the client instead of waiting.
    """

    def __init__(self) -> None:
        self.in_use = threading.Lock()
        self.connection: Any = None

    def execute(self, *command: Any) -> Any:
        """Send a command and return its answer; after a timeout once more, as the client does."""
        if not self.in_use.acquire(blocking=False):
            return _execute_by_client(command)
        try:
            self.connection = self.connection or client().connection_pool.get_connection()
            try:
                return self._ask(pack(command))
            except redis.ConnectionError:
                # Redis closed it while it was idle, or another server has become the master.
                return _execute_by_client(command)
        finally:
            self.in_use.release()

    def _ask(self, packed: bytes, is_retry: bool = False) -> Any:
        """Send and read; disconnect after any error.

        Otherwise the next caller would read the answer to this command. The error may be a task's
        time limit, which a signal raises anywhere.
        """
        connection = self.connection
        try:
            connection.send_packed_command([packed], check_health=False)
            return connection.read_response()
        except ResponseError:
            raise
        except BaseException as error:
            connection.disconnect()
            if isinstance(error, redis.TimeoutError) and not is_retry:
                return self._ask(packed, is_retry=True)
            self.connection = None
            client().connection_pool.release(connection)
            raise


@per_process(reset_on="JOBS")
def kept_connection() -> KeptConnection:
    """Return the kept connection of this process."""
    return KeptConnection()


def _execute_by_client(command: Sequence[Any]) -> Any:
    untyped: Any = client()
    return untyped.execute_command(*command)
