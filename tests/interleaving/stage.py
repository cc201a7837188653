"""A stage on which actors move one at a time. Each is a greenlet that moves from point to point.

The schedule's seed decides who moves, so the same seed gives the same play. Waking a thread would
cost more than most moves do, so the actors are greenlets.
"""

from bisect import bisect
from collections.abc import Callable
from itertools import accumulate
from random import Random
from types import SimpleNamespace
from typing import Any

from django.db import connections
from greenlet import getcurrent, greenlet

PACES = (
    1,
    1,
    3,
    20,
)  # how often an actor is drawn; a slow one stands still while others do all their work


def _always() -> bool:
    return True


class Killed(BaseException):
    """The actor's process is dead: nothing that it still does reaches anybody."""


class Actor(greenlet):
    """One who does something step by step."""

    def __init__(self, name: str, action: Callable[[], Any], pace: int, steps: int | None) -> None:
        super().__init__(self._play)
        self.name = name
        self.pace = pace
        self.result: Any = None
        self.steps_to_live = steps
        self.is_ready: Callable[[], bool] = _always
        self._action = action

    def take_step(self) -> bool:
        """Count a step; say whether the actor lives to take it."""
        if self.steps_to_live is None:
            return True
        self.steps_to_live -= 1
        return self.steps_to_live >= 0

    def _play(self) -> None:
        try:
            self.result = self._action()
        except Killed:
            self.result = "killed"
        except BaseException as error:  # the play judges it
            self.result = error


class Stage:
    """Lets actors move in an order that the seed decides."""

    LONGEST = 3000  # moves; a play that takes more does not end

    def __init__(self) -> None:
        self.random = Random(0)  # noqa: S311 - not a secret
        self.actors: list[Actor] = []
        self.trace: list[str] = []
        self.let_time_pass: Callable[[], None] = lambda: None
        self._connections: list[
            SimpleNamespace
        ] = []  # to the database; each actor has its own, as a thread has

    def clear(self, seed: int) -> None:
        """Begin another play."""
        self.random = Random(seed)  # noqa: S311 - not a secret
        self.actors = []
        self.trace = []

    def add(self, name: str, action: Callable[[], Any], steps: int | None = None) -> None:
        """Let somebody play; one with a number of steps dies after them."""
        self.actors.append(Actor(name, action, self.random.choice(PACES), steps))

    def point(self, what: str, until: Callable[[], bool] | None = None) -> None:
        """Stand still until it is this actor's turn; outside of a play, go on.

        One that waits `until` something is so moves when it is, or when time alone does not help.
        """
        actor = getcurrent()
        if not isinstance(actor, Actor):
            return
        if actor.steps_to_live is None or actor.steps_to_live >= 0:
            actor.is_ready = until or _always
            actor.parent.switch()
        if not actor.take_step():
            self.trace.append(f"{actor.name} is dead before {what}")
            raise Killed
        self.trace.append(f"{actor.name} {what}")

    def is_alone(self) -> bool:
        """Say whether the actor that moves is the only one left who has something to do."""
        return sum(not actor.dead for actor in self.actors) == 1

    def play(self) -> bool:
        """Let all play to their ends; says whether they came to them."""
        while len(self._connections) < len(self.actors):
            self._connections.append(SimpleNamespace())
        places = dict(zip(self.actors, self._connections, strict=False))
        left = self.actors
        for _move in range(self.LONGEST):
            actor = self._draw(left)
            self._move(actor, places[actor])
            if actor.dead and not (left := [actor for actor in left if not actor.dead]):
                return True
        for actor in left:
            actor.steps_to_live = 0
            self._move(actor, places[actor])
        return False

    def _move(self, actor: Actor, its_connections: SimpleNamespace) -> None:
        own, connections._connections = connections._connections, its_connections
        actor.switch()
        connections._connections = own

    def _draw(self, left: list[Actor]) -> Actor:
        ready = [actor for actor in left if actor.is_ready()]
        if not ready:
            self.let_time_pass()
            ready = [actor for actor in left if actor.is_ready()]
        if ready:
            paces = list(accumulate(actor.pace for actor in ready))
            return ready[bisect(paces, self.random.random() * paces[-1])]
        return self.random.choice(left)
