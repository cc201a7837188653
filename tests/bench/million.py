"""How fast admin, sweep and purge are at a million archived jobs: `python -m tests.bench.million`.

Makes the archive in a SQLite file of a temporary folder (1 GB, some minutes), and its own Redis.
Each figure is the best of five, in milliseconds of this machine.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from datetime import UTC, datetime
from uuid import uuid4

import django

from project.demo.embedded import EmbeddedServer

ADMIN = "/admin/jobs/jobrecord/"
AGE = 40  # days; the default of ARCHIVE_DAYS is 30
BATCH = 20_000
HANDLERS = [f"shop.handlers.Handler{n}" for n in range(18)]
STATES = ["complete"] * 970 + ["failed"] * 20 + ["cancelled"] * 7 + ["expired"] * 2 + ["lost"]
TIMES = 5


def say(line):
    """Print at once."""
    print(line, flush=True)  # noqa: T201


def best(action):
    """Return the quickest of some runs, in milliseconds."""
    return min(map(timed, [action] * TIMES))


def timed(action):
    started = time.perf_counter()
    action()
    return (time.perf_counter() - started) * 1000


def fill(rows):
    """Archive jobs of the last days."""
    pick = random.Random(6)  # noqa: S311 - always the same jobs
    loaded = handler_paths()
    for start in range(0, rows, BATCH):
        JobRecord.objects.bulk_create(row(pick, loaded) for _ in range(min(BATCH, rows - start)))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def row(pick, loaded):
    """Return one archived job."""
    created = time.time() - pick.random() * AGE * 86400
    started = created + pick.expovariate(1 / 3)
    ended = started + pick.expovariate(1 / 20)
    times = {"created_at": created, "started_at": started, "ended_at": ended}
    record = Record(
        str(uuid4()),
        JobState(pick.choice(STATES)),
        version=int(ended * 1_000_000),
        handler_class=pick.choice(loaded + HANDLERS),
        owner=f"user:{pick.randrange(20_000)}",
        tags=("classroom:42",),
        attempt=1,
        data={"classroom_id": "7", "was_it_nice": '"yes_it_was"'},
        **{name: int(value * 1_000_000) for name, value in times.items()},
    )
    columns = {name: datetime.fromtimestamp(value, UTC) for name, value in times.items()}
    columns |= {
        name: getattr(record, name)
        for name in ("id", "state", "handler_class", "owner", "version")
    }
    return JobRecord(stored=to_hash(record), **columns)


def pages():
    """Return the addresses to ask for, by what they are."""
    newest = JobRecord.objects.order_by("-ended_at").first()
    handler = handler_paths()[-1]
    return {
        "list": "",
        "its last page": f"?p={min(MAX_PAGES, JobRecord.objects.count() // 50)}",
        "state: complete": "?state__exact=complete",
        "state: lost (1 in 1,000)": "?state__exact=lost",
        "state: lost, one handler": f"?state__exact=lost&handler={handler}",
        "one handler": f"?handler={handler}",
        "search for an id": f"?q={newest.pk}",
        "search for an owner": f"?q={newest.owner}",
        "search for nothing": "?q=nobody",
        "one job": f"{newest.pk}/change/",
        "summary": "summary/",
    }


def measure_admin():
    """Ask for each page as a superuser."""
    client = Client()
    client.force_login(
        get_user_model().objects.create(username="root", is_staff=True, is_superuser=True)
    )

    def get(address):
        durations.forget()
        assert client.get(ADMIN + address, secure=True).status_code == 200, address

    for name, address in pages().items():
        say(f"{name:<30} {best(lambda address=address: get(address)):8.0f}")
    for _ in range(MAX_SCANNED):
        JobRepository().create(owner="user:1")
    say(f"{f'alive: {MAX_SCANNED} jobs scanned':<30} {best(lambda: get('alive/')):8.0f}")
    say(f"{'metrics: one scrape of these':<30} {best(lambda: list(ALIVE_JOBS.collect())):8.0f}")
    say(f"{f'sweep: {MAX_SCANNED} alive':<30} {best(sweep):8.0f}")


def measure_purge():
    """Delete what is older than 30 days."""
    deleted = []
    took = timed(lambda: deleted.extend(purge(30, 1000)))
    say(f"{f'purge: a batch of 1000 of {sum(deleted)}':<30} {took / len(deleted):8.0f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with EmbeddedServer() as server, tempfile.TemporaryDirectory() as folder:
        os.environ |= {"REDIS_URL": server.url, "DATABASE_URL": f"sqlite:///{folder}/db.sqlite3"}
        os.environ |= {
            "DEBUG": "0",
            "SECRET_KEY": "a bench needs none",
            "ALLOWED_HOSTS": "testserver",
        }
        os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"
        django.setup()
        from django.contrib.auth import get_user_model
        from django.core.management import call_command
        from django.db import connection
        from django.test import Client

        from jobs.admin.archive import MAX_PAGES
        from jobs.admin.pages import MAX_SCANNED
        from jobs.archive import durations
        from jobs.core.record import Record, to_hash
        from jobs.handlers import handler_paths
        from jobs.metrics import ALIVE_JOBS
        from jobs.models import JobRecord
        from jobs.repository import JobRepository
        from jobs.states import JobState
        from jobs.upkeep.purge import purge
        from jobs.upkeep.sweep import sweep

        call_command("migrate", verbosity=0)
        say(f"{f'making {rows} rows':<30} {timed(lambda: fill(rows)):8.0f}")
        measure_admin()
        measure_purge()
        sys.stdout.flush()
