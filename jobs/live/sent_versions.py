"""What one socket has been told: so that a job's versions only grow there, and each subscription hears each once."""

from collections.abc import Sequence

REMEMBERED = 1000  # jobs of which a socket knows what it was told last


class _Last:
    """What was told of one job last."""

    __slots__ = ("is_alive", "keys", "version")

    def __init__(self) -> None:
        self.version = 0
        self.is_alive = True
        self.keys: tuple[str, ...] = ()  # of the subscriptions that were told of it, ever


class Told:
    """Remembers the jobs that were told of last; subscriptions are named by their keys."""

    def __init__(self) -> None:
        self._jobs: dict[str, _Last] = {}  # in the order of the last change

    def version(self, job_id: str) -> int:
        """Return the version that was told last; 0 if none was."""
        last = self._jobs.get(job_id)
        return last.version if last else 0

    def is_news(self, job_id: str, version: int, key: str, again: bool = False) -> bool:
        """Say whether this is a newer version, or the last one for a subscription that has not had it (or `again`)."""
        last = self._jobs.get(job_id)
        return (
            last is None
            or version > last.version
            or (version == last.version and (again or key not in last.keys))
        )

    def note(self, job_id: str, version: int, key: str, is_alive: bool) -> Sequence[str]:
        """Note that this is told now, and return all subscriptions that are known to be told of this job."""
        last = self._jobs.pop(job_id, None) or _Last()
        self._jobs[job_id] = last
        last.version, last.is_alive = version, is_alive
        if key not in last.keys:
            last.keys += (key,)
        if len(self._jobs) > REMEMBERED:
            del self._jobs[next(iter(self._jobs))]
        return last.keys

    def alive_for(self, key: str) -> list[str]:
        """Return the jobs that this subscription was told of when they were alive, and of whose end nobody told it."""
        return [
            job_id for job_id, last in self._jobs.items() if last.is_alive and key in last.keys
        ]
