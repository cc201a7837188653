"""A stage on which actors move one at a time: each in a thread of its own, from one point to the next.

Which one moves is drawn from the schedule's seed, so the same seed gives the same play.
"""

import threading
from collections.abc import Callable
from random import Random
from typing import Any

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


class Bell:
    """Wakes the one thread that waits for it; a lock is ten times as fast as a semaphore."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self.wait = self._lock.acquire
        self.ring = self._lock.release


class Thread:
    """A thread that plays one actor after another; so its database connection is opened once."""

    def __init__(self) -> None:
        self._next = Bell()
        self._play: Callable[[], None] = lambda: None
        threading.Thread(target=self._run, daemon=True).start()

    def play(self, action: Callable[[], None]) -> None:
        """Run the action."""
        self._play = action
        self._next.ring()

    def _run(self) -> None:
        while True:
            self._next.wait()
            self._play()


class Actor:
    """One who does something step by step."""

    def __init__(self, name: str, action: Callable[[], Any], pace: int, steps: int | None) -> None:
        self.name = name
        self.pace = pace
        self.result: Any = None
        self.has_left = False
        self.steps_to_live = steps
        self.is_ready: Callable[[], bool] = _always
        self.go = Bell()
        self._action = action

    def play(self, stage: "Stage") -> None:
        """Do all of it."""
        stage.current.actor = self
        self.go.wait()
        try:
            self.result = self._action()
        except Killed:
            self.result = "killed"
        except BaseException as error:  # the play judges it
            self.result = error
        finally:
            self.has_left = True
            stage.turn_is_over.ring()

    def is_dead(self) -> bool:
        """Count a step; say whether the actor does not live to take it."""
        if self.steps_to_live is None:
            return False
        self.steps_to_live -= 1
        return self.steps_to_live < 0


class Stage:
    """Lets actors move in an order that the seed decides."""

    LONGEST = 3000  # moves; a play that takes more does not end

    def __init__(self) -> None:
        self.current = threading.local()
        self.turn_is_over = Bell()
        self.random = Random(0)  # noqa: S311 - not a secret
        self.actors: list[Actor] = []
        self.trace: list[str] = []
        self.let_time_pass: Callable[[], None] = lambda: None
        self._threads: list[Thread] = []

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
        actor = getattr(self.current, "actor", None)
        if actor is None:
            return
        if actor.steps_to_live is None or actor.steps_to_live >= 0:
            actor.is_ready = until or _always
            self.turn_is_over.ring()
            actor.go.wait()
        if actor.is_dead():
            self.trace.append(f"{actor.name} is dead before {what}")
            raise Killed
        self.trace.append(f"{actor.name} {what}")

    def is_alone(self) -> bool:
        """Say whether the actor that moves is the only one left who has something to do."""
        return sum(not actor.has_left for actor in self.actors) == 1

    def play(self) -> bool:
        """Let all play to their ends; says whether they came to them."""
        while len(self._threads) < len(self.actors):
            self._threads.append(Thread())
        for thread, actor in zip(self._threads, self.actors, strict=False):
            thread.play(lambda actor=actor: actor.play(self))
        for _move in range(self.LONGEST):
            left = [actor for actor in self.actors if not actor.has_left]
            if not left:
                return True
            actor = self._draw(left)
            actor.go.ring()
            self.turn_is_over.wait()
        self._threads = []  # they wait for ever
        return False

    def _draw(self, left: list[Actor]) -> Actor:
        if not any(actor.is_ready() for actor in left):
            self.let_time_pass()
        if ready := [actor for actor in left if actor.is_ready()]:
            return self.random.choices(ready, [actor.pace for actor in ready])[0]
        return self.random.choice(left)
