"""What becomes of jobs when the archive is a PostgreSQL that is locked or gone (F35, F28)."""

import asyncio
import os
import signal
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from project.demo.embedded import free_port
from tests.system.harness.postgres import PostgreSQL, find_postgres
from tests.system.harness.site import Site
from tests.system.harness.socket_page import listening, lost, page_of
from tests.system.harness.waiting import eventually

ANNOUNCED_WITHIN = 1.0  # seconds until a page hears of an end
BOUND = 4.0  # seconds that a task is held up by an archive that takes nothing, at most
LATER = 20  # seconds


class PostgresSite(Site):
    """A site whose database is a PostgreSQL of its own."""

    def __init__(self, prepared, postgres):
        super().__init__(prepared, worker=True, RECONCILE_SECONDS=2)
        self.postgres = postgres

    def start_redis(self):
        super().start_redis()
        self.postgres.start()
        self.extra_env["DATABASE_URL"] = self.postgres.url

    def prepare_database(self):
        self.run("migrate", "--no-input", "--verbosity", "0")

    def stop(self):
        super().stop()
        self.postgres.stop()


@pytest.fixture(scope="module")
def site(prepared_database):
    if find_postgres() is None:
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up("There is no PostgreSQL: apt-get install postgresql")
    with TemporaryDirectory(prefix="postgres-") as folder:
        Path(folder).chmod(0o755)  # it runs as another user where this is root
        with PostgresSite(
            prepared_database, PostgreSQL(Path(folder) / "cluster", free_port())
        ) as site:
            yield site


async def test_f35_an_end_is_announced_at_once_although_the_archive_is_locked(site):
    ids = site.shell.create(2)
    async with listening([page_of(site, job_id) for job_id in ids]) as pages:
        with psycopg.connect(site.postgres.url) as holder:
            holder.execute(
                "LOCK TABLE jobs_jobrecord IN ACCESS EXCLUSIVE MODE"
            )  # as a migration does
            ending = asyncio.create_task(asyncio.to_thread(site.shell.seconds_to_end, ids))
            assert await lost(pages[:1], ANNOUNCED_WITHIN) == []
            assert await asyncio.wait_for(ending, LATER) < 2 * BOUND  # one after the other
            assert await lost(pages, ANNOUNCED_WITHIN) == []
    await eventually(
        lambda: {site.shell.archived(job_id) for job_id in ids} == {"complete"}, LATER
    )


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["shut down", "killed"])
async def test_f35_ends_while_the_database_is_down_are_archived_later(site, tmp_path, how):
    gate = tmp_path / "gate"
    tasks = site.shell.start_task("wait_for_file", number=2, path=str(gate))
    ids = site.shell.create(2)
    async with listening([page_of(site, job_id) for job_id in tasks + ids]) as pages:
        await eventually(lambda: all("progress" in page.events for page in pages[:2]))
        site.postgres.child.signal(how)
        await asyncio.to_thread(site.postgres.stop)
        gate.write_text("open")
        assert await asyncio.to_thread(site.shell.seconds_to_end, ids) < 2 * BOUND
        assert await lost(pages, 2 + ANNOUNCED_WITHIN) == []
        site.postgres.start()
    assert {page.events[-1] for page in pages} == {"ready"}
    await eventually(
        lambda: {site.shell.archived(job_id) for job_id in tasks + ids} == {"complete"}, LATER
    )


async def test_f28_every_text_that_a_page_shows_can_be_archived(site):
    (job_id,) = site.shell.create(
        note="emoji \U0001f600 and \0 and \ud800".encode("utf-8", "replace").decode()
    )
    site.shell.call(job_id, "set_progress", 1, 2, "a NUL \0, a quote ' and \\u0000")
    site.shell.end([job_id], "failed")
    assert site.shell.archived(job_id) == "failed"
    site.client.flushall()
    assert site.shell.found(job_id)["data"]["note"].startswith("emoji \U0001f600 and \0 and ")
