"""A turn in a round: open the pages, end jobs at a walk, at a run, then one that all pages watch.

The subjects whose latencies are compared closely take a turn together. Their pages are open at
the same time, and they walk in short slices, one after the other, so a machine that is slow for
some seconds is slow for all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TypeVar

from project.demo.processes import ProcessError

from .servers import Server
from .setup import Setup
from .subjects import Opening, Subject

WALK = 50.0  # jobs that end in a second, while latency is measured
RUN = 250.0  # and while the server's work for each is: no more than the tutorial's worker can do
WARM = 20  # pages that are open before the figures of opening are taken
SLICES = 10  # of a walk; 20 jobs at 50 a second are 0.4 seconds
PATIENCE = 5.0  # seconds after the last call; what has not come then is lost
PATIENCE_WITH_POLLING = 30.0  # seconds; an overloaded server answers late, and loses nothing

Thing = TypeVar("Thing")
Figures = dict[str, float]
Started = list[tuple[str, str, str]]  # of each job the id, its owner's cookie and a ticket


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    rounds: int
    sockets: int  # open at a time
    jobs: int  # of them that end at a walk; the others at a run
    fan_outs: int  # in a turn; a single one may meet a garbage collection, or another's work
    calls: int  # of each verb, for its cost in the worker
    growth: tuple[int, ...]  # sockets that are open at a time, from few to many
    stored: tuple[int, int]  # jobs that Redis holds: few, and many
    peers_rounds: int  # in which the peers are measured at all these sizes too, for the plot
    lives: int  # jobs that a real worker runs


class Turn:
    """Measures one subject once, beside all the others that are idle."""

    def __init__(self, setup: Setup, subject: Subject) -> None:
        self.setup = setup
        self.subject = subject
        self.server: Server = setup.servers[subject]
        self.figures: Figures = {"lost": 0}
        self._jobs: Started = []
        self._started: list[str] = []
        self._walked = 0  # jobs
        self.latencies: list[float] = []  # milliseconds, of the walk as far as it has come

    def begin(self, plan: Plan, is_first: bool) -> None:
        """Open the pages, and measure that."""
        self._jobs = self.start(min(plan.sockets, self.subject.most))
        self.open(self._jobs[:WARM])
        self._open_measured(self._jobs[WARM:], is_first)

    def prepare(self, pages: int) -> None:
        """Open pages."""
        self._jobs = self.start(pages)
        self.open(self._jobs)

    def walk_on(self, jobs: int) -> None:
        """End the next jobs at a walk, if there are any left."""
        if wanted := self._jobs[self._walked : self._walked + jobs]:
            self.latencies += self.walk(wanted)
            self._walked += len(wanted)

    def end(self, plan: Plan) -> None:
        """End the other jobs at a run, and close the pages."""
        if self.latencies:
            self.figures["p50_ms"] = quantile(self.latencies, 0.5)
            self.figures["p95_ms"] = quantile(self.latencies, 0.95)
        if self.subject.is_pushed:
            self._run(self._jobs[plan.jobs :])
        self.close()

    def fan_out(self, plan: Plan) -> None:
        """End a job that all pages watch, some times."""
        busy, lasted = zip(
            *(self._tell_all(plan.sockets) for _ in range(plan.fan_outs)), strict=True
        )
        self.figures["delivery_us"], self.figures["fanout_ms"] = median(busy), median(lasted)

    def start(self, count: int) -> Started:
        """Have the worker start jobs, which it keeps until the pages are closed."""
        jobs: Started = self.setup.worker.call("start_jobs", count)
        self._started += [job_id for job_id, *_rest in jobs]
        return jobs

    def open(self, jobs: Started) -> None:
        """Open a page for each of the jobs."""
        self._open([self.subject.opening(job[0], *job) for job in jobs])

    def walk(self, jobs: Started) -> list[float]:
        """End jobs at a walk; returns the milliseconds until each page heard."""
        return self._end([job_id for job_id, *_rest in jobs], WALK)[0]

    def moments(self, jobs: Started) -> dict[str, tuple[int, int]]:
        """End jobs at a walk; returns when the worker began each and its page heard it, in ns."""
        return self._moments([job_id for job_id, *_rest in jobs], WALK)[0]

    def close(self) -> None:
        """Close all pages, and wait until the server has; the worker forgets their jobs."""
        self.setup.clients.call("close", self.server.port)
        self.server.await_idle()
        started, self._started = self._started, []
        self.setup.worker.call("forget_jobs", started)

    def _open(self, wanted: list[Opening]) -> None:
        self.setup.clients.call("open", self.server.port, self.subject.greetings, wanted)

    def _open_measured(self, jobs: Started, is_first: bool) -> None:
        commands, kilobytes, busy = self._commands(), self.server.private_kb, self.server.cpu_ns
        self.open(jobs)
        if self.subject.polls:  # it has been answering all the while
            return
        self.figures["handshake_us"] = (self.server.cpu_ns - busy) / 1000 / len(jobs)
        self.figures["commands_per_socket"] = (self._commands() - commands) / len(jobs)
        if is_first:  # later the process has room left over from the round before
            self.figures["kb_per_socket"] = (self.server.private_kb - kilobytes) / len(jobs)

    def _run(self, jobs: Started) -> None:
        latencies, busy = self._end([job_id for job_id, *_rest in jobs], RUN)
        self.figures["p50_run_ms"] = quantile(latencies, 0.5)
        self.figures["push_us"] = busy / 1000 / len(latencies)

    def _end(self, job_ids: list[str], per_second: float) -> tuple[list[float], int]:
        """End the jobs; returns the milliseconds until each was heard, and the server's ns."""
        moments, busy = self._moments(job_ids, per_second)
        return [(heard - before) / 1e6 for before, heard in moments.values()], busy

    def _moments(
        self, job_ids: list[str], per_second: float
    ) -> tuple[dict[str, tuple[int, int]], int]:
        self.setup.clients.call("expect", len(job_ids))
        busy = self.server.cpu_ns
        spans = self.setup.worker.call("end_jobs", self.subject.verb, job_ids, per_second)
        heard = self.setup.clients.call(
            "heard", PATIENCE_WITH_POLLING if self.subject.polls else PATIENCE
        )
        busy = self.server.cpu_ns - busy
        self.figures["lost"] += len(job_ids) - len(heard)
        if not heard:
            raise ProcessError(
                f"{self.subject.name}: no page heard anything; {self.server.child.last_words}"
            )
        return {
            job_id: (spans[job_id][0], heard[job_id]) for job_id in job_ids if job_id in heard
        }, busy

    def _tell_all(self, pages: int) -> tuple[float, float]:
        """Push a job to all pages; returns the server's us for one, and the ms to the last."""
        (job,) = self.start(1)
        self._open([self.subject.opening(str(n), *job) for n in range(pages)])
        self.server.await_idle()
        self.setup.clients.call("expect", pages)
        busy = self.server.cpu_ns
        before, _after = self.setup.worker.call("end_jobs", self.subject.verb, [job[0]], RUN)[
            job[0]
        ]
        heard = self.setup.clients.call("heard", PATIENCE)
        busy = self.server.cpu_ns - busy
        self.close()
        self.figures["lost"] += pages - len(heard)
        return busy / 1000 / max(len(heard), 1), (
            max(heard.values(), default=before) - before
        ) / 1e6

    def _commands(self) -> int:
        return self.setup.redis.info("stats")["total_commands_processed"]


def quantile(values: list[float], share: float) -> float:
    """Return the value below which so large a share of the values lies."""
    return sorted(values)[int(share * (len(values) - 1))]


def rounds(
    setup: Setup, plan: Plan, groups: tuple[tuple[Subject, ...], ...]
) -> dict[Subject, list[Figures]]:
    """Let the groups of subjects take turns; the order moves on from round to round."""
    taken: dict[Subject, list[Figures]] = {
        subject: [] for subjects in groups for subject in subjects
    }
    for number in range(plan.rounds):
        for subjects in rotated(groups, number):
            for subject, figures in together(
                setup, plan, rotated(subjects, number), is_first=number == 0
            ).items():
                taken[subject].append(figures)
    return taken


def together(
    setup: Setup, plan: Plan, subjects: Sequence[Subject], is_first: bool
) -> dict[Subject, Figures]:
    """Have subjects take one turn, walking in slices; returns the figures of each."""
    turns = [Turn(setup, subject) for subject in subjects]
    for turn in turns:
        turn.begin(plan, is_first)
    walk_in_slices([turn for turn in turns if turn.subject.verb], plan.jobs)
    for turn in turns:
        turn.end(plan)
    for turn in turns:
        if turn.subject.is_pushed:
            turn.fan_out(plan)
    return {turn.subject: turn.figures for turn in turns}


def walk_in_slices(turns: Sequence[Turn], jobs: int) -> None:
    """End jobs of each subject at a walk, a slice at a time, in turn."""
    ends = [jobs * number // SLICES for number in range(SLICES + 1)]
    for number, (start, end) in enumerate(pairwise(ends)):
        for turn in rotated(turns, number) if turns else ():
            turn.walk_on(end - start)


def rotated(things: Sequence[Thing], by: int) -> Sequence[Thing]:
    """Return the same things in the same order, beginning with another."""
    start = by % len(things)
    return [*things[start:], *things[:start]]
