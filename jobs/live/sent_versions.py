"""Which version of each job one page has been sent.

On one page a job's versions only grow, and each subscription gets each version once.
"""

from collections.abc import Sequence

REMEMBERED = 1000  # jobs a page; the ones whose last frame is oldest are forgotten


class _Sent:
    """The last frame of one job."""

    __slots__ = ("is_alive", "keys", "version")

    def __init__(self) -> None:
        self.version = 0
        self.is_alive = True
        self.keys: tuple[str, ...] = ()  # of all subscriptions that ever got this job


class SentVersions:
    """Remember what was sent last; subscriptions are named by their keys."""

    __slots__ = ("_jobs",)

    def __init__(self) -> None:
        self._jobs: dict[str, _Sent] = {}  # in the order of their last frames

    def version(self, job_id: str) -> int:
        """Return the last version that was sent; 0 if none was."""
        sent = self._jobs.get(job_id)
        return sent.version if sent else 0

    def is_unsent(self, job_id: str, version: int, key: str, resend: bool = False) -> bool:
        """Say whether this subscription still needs this version of the job."""
        sent = self._jobs.get(job_id)
        if sent is None or version > sent.version:
            return True
        return version == sent.version and (resend or key not in sent.keys)

    def note(self, job_id: str, version: int, key: str, is_alive: bool) -> Sequence[str]:
        """Note that this version is sent now; return every subscription that gets this job."""
        sent = self._jobs.pop(job_id, None) or _Sent()
        self._jobs[job_id] = sent
        sent.version, sent.is_alive = version, is_alive
        if key not in sent.keys:
            sent.keys += (key,)
        if len(self._jobs) > REMEMBERED:
            del self._jobs[next(iter(self._jobs))]
        return sent.keys

    def alive_for(self, key: str) -> list[str]:
        """Return the jobs that were alive in the last frame that this subscription got of them."""
        return [
            job_id for job_id, sent in self._jobs.items() if sent.is_alive and key in sent.keys
        ]
