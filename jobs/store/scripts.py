"""Runs the Lua scripts in `lua/`, each in one round trip.

A script is sent by its digest. A Redis that does not know it yet, because it is new or was
restarted, gets the source.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from redis.exceptions import NoScriptError

from jobs.runtime.per_process import per_process

from .client import client, store_errors
from .kept_connection import kept_connection

LUA = Path(__file__).parent / "lua"


class Call(NamedTuple):
    """One run of a script."""

    script: str
    key: str
    arguments: Sequence[Any]
    more_keys: Sequence[str] = ()

    @property
    def all_keys(self) -> list[str]:
        """The keys that the script touches."""
        return [self.key, *self.more_keys]


def run(call: Call) -> Any:
    """Run a script in one round trip and return its answer."""
    script = _script(call.script)
    with store_errors():
        try:
            return kept_connection().execute("EVALSHA", script.sha, *_keys_and_arguments(call))
        except NoScriptError:
            return script(keys=call.all_keys, args=call.arguments)


def run_all(calls: Sequence[Call]) -> list[Any]:
    """Run scripts in one round trip; return the answer of each, or Redis's error for it.

    The scripts must be safe to repeat: all of them are sent again if Redis does not know one of
    them yet, or if the answers were lost.
    """
    with store_errors():
        answers = _send(calls)
        if any(isinstance(answer, NoScriptError) for answer in answers):
            for name in {call.script for call in calls}:
                client().script_load(_script(name).script)
            answers = _send(calls)
    return answers


def _send(calls: Sequence[Call]) -> list[Any]:
    pipeline = client().pipeline(transaction=False)
    for call in calls:
        pipeline.evalsha(_script(call.script).sha, *_keys_and_arguments(call))
    return pipeline.execute(raise_on_error=False)


def _keys_and_arguments(call: Call) -> tuple[Any, ...]:
    keys = call.all_keys
    return (len(keys), *keys, *call.arguments)


@per_process(reset_on="JOBS")
def _script(name: str) -> Any:
    return client().register_script((LUA / f"{name}.lua").read_text())
