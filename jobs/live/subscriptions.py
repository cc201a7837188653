"""The open subscriptions of one page, and the budget of jobs that they share."""

import math
from collections.abc import Collection
from contextlib import nullcontext

from jobs.conf import jobs_settings
from jobs.push.watchers import Watcher

from .budget import Budget, budget_of
from .subscription import Subscription


class TooManyJobs(Exception):
    """The page, or its owner, had too many jobs read lately.

    `retry_after` says in how many seconds it may subscribe again.
    """

    def __init__(self, wait: float) -> None:
        self.retry_after = math.ceil(wait)
        super().__init__(f"Too many jobs at once. Subscribe again in {self.retry_after} seconds.")


class Subscriptions:
    """Opens, replaces and closes the subscriptions of one page, by their keys."""

    __slots__ = ("_budget", "_by_key")

    def __init__(self) -> None:
        self._budget = Budget()
        self._by_key: dict[str, Subscription] = {}

    def has_room_for(self, key: str) -> bool:
        """Say whether this subscription may be opened, or replaced, within `MAX_SUBSCRIPTIONS`."""
        return len({*self._by_key, key}) <= jobs_settings().MAX_SUBSCRIPTIONS

    async def open(self, subscription: Subscription) -> None:
        """Open a subscription in place of an older one with its key.

        Raises `TooManyJobs` if the budget of the page or of its owner is spent, and what
        `Subscription.open` raises.
        """
        owner = budget_of(subscription.owner) if subscription.owner else self._budget
        async with owner.turn if subscription.is_list else nullcontext():
            await self._open(subscription, {self._budget, owner})

    async def _open(self, subscription: Subscription, budgets: Collection[Budget]) -> None:
        if wait := max(budget.wait for budget in budgets):
            raise TooManyJobs(wait)
        replaced = self._by_key.pop(subscription.key, None)
        try:
            await subscription.open()
            self._by_key[subscription.key] = subscription
        finally:
            for budget in budgets:
                budget.spend(subscription.cost)
            if replaced is not None:
                await replaced.close()

    async def close(self, key: str) -> None:
        """Close a subscription, if there is one."""
        if (subscription := self._by_key.pop(key, None)) is not None:
            await subscription.close()

    async def drop(self, key: str, watcher: Watcher) -> Subscription | None:
        """Close and return this subscription; None if a newer one has its key."""
        subscription = self._by_key.get(key)
        if subscription is None or subscription is not watcher:
            return None
        await self.close(key)
        return subscription

    async def close_all(self) -> None:
        """Close every subscription."""
        while self._by_key:
            await self.close(next(iter(self._by_key)))
