"""What a neighbour feels while somebody floods the server: `python -m tests.bench.flood`.

A real daphne serves a visitor who has 100 jobs and sends `subscribe` 45 times a second, from one
socket or from ten, for all jobs or for jobs that do not exist. A neighbour
measures how long a progress frame takes, before and during each attack.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from importlib import import_module
from itertools import count
from uuid import uuid4

import websockets

from project.demo.embedded import EmbeddedServer, free_port

FRAMES_PER_SECOND = 45  # below MAX_FRAMES_PER_SECOND, so each is answered
JOBS = 100
SECONDS = 10.0
MINE = '{"action": "subscribe", "mine": true}'
ATTACKS = {  # sockets, and what each sends
    "one socket, all its jobs": (1, "mine"),
    "ten sockets of one owner, all jobs": (10, "mine"),
    "ten sockets, jobs that do not exist": (10, "unknown"),
    "sockets that reconnect when they are refused": (10, "reconnect"),
}


def main() -> None:
    """Start a Redis and a daphne, measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--attack", nargs=4, help="be the attacker: port, cookie, sockets, kind")
    options = parser.parse_args()
    if options.attack:
        port, cookie, sockets, kind = options.attack
        asyncio.run(attack(int(port), cookie, int(sockets), kind))
        return
    with EmbeddedServer() as server, tempfile.TemporaryDirectory() as folder:
        os.environ.update(
            REDIS_URL=server.url,
            CELERY_BROKER_URL=server.database_url(1),
            DATABASE_URL=f"sqlite:///{folder}/db.sqlite3",
            DJANGO_SETTINGS_MODULE="project.settings",
        )
        measure(options.rounds)


def measure(rounds: int) -> None:
    """Let the neighbour and the attackers meet on one server."""
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from jobs.repository import JobRepository

    repository = JobRepository()
    for _job in range(JOBS):
        repository.create(owner="visitor:attacker")
    job = repository.create(owner="visitor:neighbour")
    job.start()
    port = free_port()
    command = [sys.executable, "-m", "daphne", "-p", str(port), "-b", "127.0.0.1"]
    daphne = subprocess.Popen(
        [*command, "project.asgi:application"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _round in range(rounds):
            for name, (sockets, kind) in ATTACKS.items():
                before = asyncio.run(neighbour(port, job))
                attacker = [str(port), cookie_of("attacker"), str(sockets), kind]
                attackers = subprocess.Popen(
                    [sys.executable, "-m", __spec__.name, "--attack", *attacker]
                )
                try:
                    used, began = cpu_of(daphne.pid), time.monotonic()
                    during = asyncio.run(neighbour(port, job))
                    share = (cpu_of(daphne.pid) - used) / (time.monotonic() - began)
                finally:
                    attackers.kill()
                    attackers.wait()
                say(name, before, during, share)
    finally:
        daphne.terminate()
        daphne.wait()


def say(name: str, before: list[float], during: list[float], share: float) -> None:
    """Print what the neighbour felt."""
    told = [f"{name:46}", f"{share:4.0%} of a core"]
    for label, part in (("p50", 0.5), ("p95", 0.95)):
        alone, flooded = quantile(before, part), quantile(during, part)
        told.append(f"{label} {alone:5.2f} → {flooded:5.2f} ms ({flooded / alone:4.2f} x)")
    print("  ".join(told), flush=True)  # noqa: T201


def quantile(values: list[float], part: float) -> float:
    """Return the value below which this part of them is."""
    return statistics.quantiles(values, n=100)[round(part * 100) - 1]


def cookie_of(visitor: str) -> str:
    """Return the cookie of a visitor's session."""
    from django.conf import settings

    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session["jobs_visitor"] = visitor
    session.save()
    return f"{settings.SESSION_COOKIE_NAME}={session.session_key}"


def cpu_of(pid: int) -> float:
    """Return the CPU seconds that a process has used."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def connect(port: int, cookie: str):
    """Open a socket, as soon as the server listens."""
    for _try in range(200):
        with suppress(OSError):
            return await websockets.connect(
                f"ws://127.0.0.1:{port}/ws/jobs/",
                additional_headers={"Cookie": cookie},
                origin=f"http://127.0.0.1:{port}",
            )
        await asyncio.sleep(0.1)
    raise TimeoutError("daphne does not listen")


async def neighbour(port: int, job) -> list[float]:
    """Return how many milliseconds each push took, for some seconds."""
    cookie = await asyncio.to_thread(cookie_of, "neighbour")
    socket = await connect(port, cookie)
    await socket.send(json.dumps({"action": "subscribe", "job": job.id}))
    while json.loads(await socket.recv())["event"] != "started" and not job.progress.current:
        pass
    took, end, numbers = [], time.monotonic() + SECONDS, count(int(job.progress.current) + 1)
    while time.monotonic() < end:
        await asyncio.sleep(0.105)  # longer than the throttle's pause
        began, number = time.perf_counter(), next(numbers)
        await asyncio.to_thread(job.set_progress, number, 10**6)
        while True:
            frame = json.loads(await socket.recv())
            if frame["event"] == "progress" and frame["job"]["progress"]["current"] >= number:
                break
        took.append((time.perf_counter() - began) * 1000)
    await socket.close()
    return took


async def attack(port: int, cookie: str, sockets: int, kind: str) -> None:
    """Flood until somebody kills this process."""
    await asyncio.gather(*(flood(port, cookie, kind) for _socket in range(sockets)))


async def flood(port: int, cookie: str, kind: str) -> None:
    """Send frames on one socket; open it again when it is closed, if that is the attack."""
    while True:
        socket = await connect(port, cookie)
        reader = asyncio.create_task(drain(socket))
        with suppress(websockets.ConnectionClosed):
            while True:
                unknown = json.dumps({"action": "subscribe", "job": str(uuid4())})
                await socket.send(unknown if kind == "unknown" else MINE)
                await asyncio.sleep(1 / FRAMES_PER_SECOND)
        await reader
        await asyncio.sleep(0.1 if kind == "reconnect" else SECONDS)


async def drain(socket) -> None:
    """Read and forget."""
    with suppress(websockets.ConnectionClosed):
        async for _frame in socket:
            pass


if __name__ == "__main__":
    main()
