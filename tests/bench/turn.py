"""One subject's turn in a round: open the pages, end jobs at a walk, at a run, then one that all pages watch."""

from dataclasses import dataclass

from project.demo.processes import ProcessError

from .servers import Server
from .setup import Setup
from .subjects import Opening, Subject

WALK = 50.0  # jobs that end in a second, while latency is measured
RUN = 250.0  # and while the server's work for each is: no more than the tutorial's worker can do
WARM = 20  # pages that are open before the figures of opening are taken
PATIENCE = 5.0  # seconds after the last call; what has not come then is lost

Figures = dict[str, float]


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    rounds: int
    sockets: int  # open at a time
    jobs: int  # of them that end at a walk; the others at a run
    calls: int  # of each verb, for its cost in the worker


class Turn:
    """Measures one subject once, beside all the others that are idle."""

    def __init__(self, setup: Setup, subject: Subject, plan: Plan, is_first: bool) -> None:
        self.setup = setup
        self.subject = subject
        self.plan = plan
        self.is_first = is_first
        self.server: Server = setup.servers[subject]
        self.figures: Figures = {"lost": 0}

    def take(self) -> Figures:
        """Do all of it and return the figures."""
        jobs = self.setup.worker.call("start_jobs", self.plan.sockets)
        self._open([self.subject.opening(job[0], *job) for job in jobs], measured=True)
        if self.subject.verb:
            job_ids = [job_id for job_id, *_rest in jobs]
            self._walk(job_ids[: self.plan.jobs])
            self._run(job_ids[self.plan.jobs :])
            self._close()
            self._fan_out()
        self._close()
        return self.figures

    def _open(self, wanted: list[Opening], measured: bool) -> None:
        arguments = self.server.port, self.subject.greetings
        self.setup.clients.call("open", *arguments, wanted[:WARM])
        commands, kilobytes, busy = self._commands(), self.server.private_kb, self.server.cpu_ns
        self.setup.clients.call("open", *arguments, wanted[WARM:])
        if measured:
            opened = len(wanted) - WARM
            self.figures["handshake_us"] = (self.server.cpu_ns - busy) / 1000 / opened
            self.figures["commands_per_socket"] = (self._commands() - commands) / opened
            if self.is_first:  # later the process has room left over from the round before
                self.figures["kb_per_socket"] = (self.server.private_kb - kilobytes) / opened

    def _walk(self, job_ids: list[str]) -> None:
        latencies, _busy = self._end(job_ids, WALK)
        self.figures["p50_ms"] = quantile(latencies, 0.5)
        self.figures["p95_ms"] = quantile(latencies, 0.95)

    def _run(self, job_ids: list[str]) -> None:
        latencies, busy = self._end(job_ids, RUN)
        self.figures["p50_run_ms"] = quantile(latencies, 0.5)
        self.figures["push_us"] = busy / 1000 / len(latencies)

    def _end(self, job_ids: list[str], per_second: float) -> tuple[list[float], int]:
        """End the jobs; returns the milliseconds until each was heard, and the server's nanoseconds."""
        self.setup.clients.call("expect", len(job_ids))
        busy = self.server.cpu_ns
        spans = self.setup.worker.call("end_jobs", self.subject.verb, job_ids, per_second)
        heard = self.setup.clients.call("heard", PATIENCE)
        busy = self.server.cpu_ns - busy
        self.figures["lost"] += len(job_ids) - len(heard)
        if not heard:
            raise ProcessError(f"{self.subject.name}: no page heard anything; {self.server.child.last_words}")
        return [(heard[job_id] - spans[job_id][0]) / 1e6 for job_id in job_ids if job_id in heard], busy

    def _fan_out(self) -> None:
        (job,) = self.setup.worker.call("start_jobs", 1)
        self._open([self.subject.opening(str(n), *job) for n in range(self.plan.sockets)], measured=False)
        self.server.await_idle()
        self.setup.clients.call("expect", self.plan.sockets)
        busy = self.server.cpu_ns
        before, _after = self.setup.worker.call("end_jobs", self.subject.verb, [job[0]], RUN)[job[0]]
        heard = self.setup.clients.call("heard", PATIENCE)
        self.figures["delivery_us"] = (self.server.cpu_ns - busy) / 1000 / max(len(heard), 1)
        self.figures["fanout_ms"] = (max(heard.values(), default=before) - before) / 1e6
        self.figures["lost"] += self.plan.sockets - len(heard)

    def _close(self) -> None:
        self.setup.clients.call("close")
        self.server.await_idle()

    def _commands(self) -> int:
        return self.setup.redis.info("stats")["total_commands_processed"]


def quantile(values: list[float], share: float) -> float:
    """Return the value below which so large a share of the values lies."""
    return sorted(values)[int(share * (len(values) - 1))]


def rounds(setup: Setup, plan: Plan, subjects: tuple[Subject, ...]) -> dict[Subject, list[Figures]]:
    """Let the subjects take turns, in an order that moves on from round to round."""
    taken: dict[Subject, list[Figures]] = {subject: [] for subject in subjects}
    for number in range(plan.rounds):
        start = number % len(subjects)
        for subject in subjects[start:] + subjects[:start]:
            taken[subject].append(Turn(setup, subject, plan, is_first=number == 0).take())
    return taken
