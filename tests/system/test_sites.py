"""The main path in projects with other times, databases, labels and pools (FAULTS.md F51)."""

import asyncio
import os
import secrets
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from project.demo.embedded import free_port
from tests.system.harness.mariadb import MariaDB, find_mariadb
from tests.system.harness.site import Site
from tests.system.harness.socket_page import listening, lost, page_of
from tests.system.harness.waiting import eventually

LOST_AFTER = 3  # seconds
STEP_TIMEOUT = 20  # seconds
HTML = {"Accept": "text/html"}
SITUATIONS = {
    "naive": [],
    "second_database": [],
    "own_jobs": [],
    "sub_path": [],
    "threads": ["--pool", "threads"],
    "gevent": ["--pool", "gevent"],
    "mariadb": [],
}
not_about_pools = pytest.mark.parametrize(
    "site", [name for name, pool in SITUATIONS.items() if not pool], indirect=True
)
ROOTS = {"own_jobs": "/waitroom", "sub_path": "/intern/jobs"}


class HostSite(Site):
    """One of the projects of `tests.system.projects.sites`."""

    def __init__(self, prepared, name):
        super().__init__(prepared, worker=True, HEARTBEAT=1, LOST_AFTER=LOST_AFTER)
        pool = SITUATIONS[name]
        self.extra_env["DJANGO_SETTINGS_MODULE"] = (
            f"tests.system.projects.sites.{'settings' if pool else name}"
        )
        self.worker_options = pool
        self.name = name
        self.root = ROOTS.get(name, "/jobs")
        self.databases = ["default", "archive"] if name == "second_database" else ["default"]
        self.label = "waitroom" if name == "own_jobs" else "jobs"

    def prepare_database(self):
        for database in self.databases:
            self.run("migrate", "--no-input", "--verbosity", "0", "--database", database)


class MariaSite(HostSite):
    """The project on MariaDB, which this site starts and stops too."""

    def __init__(self, prepared, mariadb):
        super().__init__(prepared, "mariadb")
        self.mariadb = mariadb

    def start_redis(self):
        super().start_redis()
        self.mariadb.start()
        self.extra_env["DATABASE_URL"] = self.mariadb.url

    def stop(self):
        super().stop()
        self.mariadb.stop()


@pytest.fixture(scope="module", params=SITUATIONS)
def site(request, prepared_database):
    with TemporaryDirectory(prefix="site-") as folder:
        if request.param == "mariadb":
            site = MariaSite(prepared_database, new_mariadb(Path(folder)))
        else:
            site = HostSite(prepared_database, request.param)
        with site:
            yield site


def new_mariadb(folder):
    """Return a MariaDB, not started; without the package the test is skipped, in CI it fails."""
    if find_mariadb() is None:
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up("There is no MariaDB: apt-get install mariadb-server")
    folder.chmod(0o755)  # it runs as another user where this is root
    return MariaDB(folder / "data", free_port())


@pytest.fixture
def gate(tmp_path):
    return tmp_path / "gate"


def start(site, ann, outcome, gate):
    """Send the form; return the waiting page's address and the job's id."""
    prefix = site.root.removesuffix("/jobs").removesuffix("/waitroom")
    answer = ann.post(f"{prefix}/start/", data={"outcome": outcome, "gate": str(gate)})
    address = answer.headers["Location"]
    return address, address.rstrip("/").rpartition("/")[2]


async def half_way(page):
    """Wait until the page knows that the task has reported its first step."""
    await eventually(
        lambda: page.frames and page.frames[-1]["job"]["progress"]["percent"] == 50, STEP_TIMEOUT
    )


def post(ann, address):
    """Send one of the waiting page's forms as its script does."""
    return ann.post(address, headers={"X-CSRFToken": ann.cookies["csrftoken"]})


async def test_f51_a_job_goes_the_whole_way_from_the_form_to_its_place(site, ann, gate):
    address, job_id = start(site, ann, "complete", gate)
    assert address == f"{site.root}/{job_id}/"
    assert f'action="{address}ready/"' in ann.get(address, headers=HTML).text
    async with listening([page_of(site, job_id)]) as [page]:
        await half_way(page)
        gate.write_text("open")
        assert await lost([page], STEP_TIMEOUT) == []
    assert page.events[-1] == "ready"
    places = [post(ann, f"{address}ready/").json()["url"] for _ in range(2)]
    assert places == [f"/done/{job_id}/"] * 2
    assert len(site.shell.effects(job_id)) == 1


@not_about_pools
async def test_f51_a_finished_job_is_found_in_the_archive_and_in_the_list(site, ann, gate):
    gate.write_text("open")
    address, job_id = start(site, ann, "complete", gate)
    await eventually(lambda: site.shell.archived(job_id) == "complete", STEP_TIMEOUT)
    ann.get(address, headers=HTML)
    place = post(ann, f"{address}ready/").json()["url"]
    site.client.delete(f"jobs:{{{job_id}}}")
    assert ann.get(address).json()["job"]["state"] == "complete"
    listed = {job["id"]: job["claimed"] for job in ann.get(f"{site.root}/").json()["jobs"]}
    assert listed[job_id] is True
    assert post(ann, f"{address}ready/").json()["url"] == place
    assert address in ann.get(f"{site.root}/", headers=HTML).text


async def test_f51_a_job_fails_with_its_text(site, ann, gate):
    gate.write_text("open")
    address, job_id = start(site, ann, "failed", gate)
    await eventually(lambda: site.shell.archived(job_id) == "failed", STEP_TIMEOUT)
    assert ann.get(address).json()["job"]["error"] == "The parcel is too heavy."
    ann.get(address, headers=HTML)
    assert post(ann, f"{address}ready/").status_code == 200
    assert site.shell.effects(job_id) == [f"{job_id} failed 1"]


async def test_f51_a_job_is_cancelled(site, ann, gate):
    address, job_id = start(site, ann, "cancelled", gate)
    ann.get(address, headers=HTML)
    async with listening([page_of(site, job_id)]) as [page]:
        await half_way(page)
        post(ann, f"{address}cancel/")
        assert await lost([page], STEP_TIMEOUT) == []
    assert page.events[-1] == "cancelled"


@pytest.mark.parametrize("site", ["threads", "gevent"], indirect=True)
async def test_f51_a_long_job_is_kept_alive_by_the_heartbeat(site, ann, gate):
    _address, job_id = start(site, ann, "complete", gate)
    async with listening([page_of(site, job_id)]) as [page]:
        await half_way(page)
        await asyncio.sleep(LOST_AFTER + 2)  # without a heartbeat it would be lost by now
        gate.write_text("open")
        assert await lost([page], STEP_TIMEOUT) == []
    assert page.events[-1] == "ready" and "lost" not in page.events


@not_about_pools
async def test_f51_of_many_claims_at_once_one_runs_the_hook(site, ann):
    (job_id,) = site.shell.create()
    site.shell.end([job_id])
    ann.get(f"{site.root}/{job_id}/", headers=HTML)
    claims = [asyncio.to_thread(post, ann, f"{site.root}/{job_id}/ready/") for _ in range(12)]
    assert {answer.json()["url"] for answer in await asyncio.gather(*claims)} == {
        f"/done/{job_id}/"
    }
    assert len(site.shell.effects(job_id)) == 1


@not_about_pools
def test_f51_a_hook_that_failed_runs_again(site, ann, gate):
    (job_id,) = site.shell.create(raises_until=str(gate))
    site.shell.end([job_id])
    address = f"{site.root}/{job_id}/"
    ann.get(address, headers=HTML)
    assert post(ann, f"{address}ready/").status_code == 500
    assert site.shell.effects(job_id) == []
    gate.touch()
    assert post(ann, f"{address}ready/").json() == {"url": f"/done/{job_id}/"}
    assert len(site.shell.effects(job_id)) == 1


@pytest.mark.parametrize("site", ["mariadb"], indirect=True)
def test_f51_ids_and_owners_that_differ_in_case_are_different(site, ann):
    lower, upper = f"parcel-{(token := secrets.token_hex(4))}", f"PARCEL-{token}"
    ids = site.shell.create(id=lower) + site.shell.create(id=upper, owner="visitor:ANN")
    site.shell.end(ids)
    site.client.delete(*[f"jobs:{{{job_id}}}" for job_id in ids])
    assert [site.shell.archived(job_id) for job_id in ids] == ["complete"] * 2
    assert ann.get(f"{site.root}/{lower}/").status_code == 200
    assert ann.get(f"{site.root}/{upper}/").status_code == 404
    assert {*ids} & {job["id"] for job in ann.get(f"{site.root}/").json()["jobs"]} == {lower}


@pytest.mark.parametrize("site", ["second_database"], indirect=True)
def test_f51_a_claim_is_in_no_transaction_of_its_request(site):
    view = "resolve('/jobs/parcel/ready/').func._non_atomic_requests"
    code = f"from django.urls import resolve; print(*sorted({view}))"
    assert site.run("shell", "--verbosity", "0", "-c", code)[-1] == "archive default"


@not_about_pools
def test_f51_staff_find_a_finished_job_in_the_admin(site, ann, gate):
    (job_id,) = site.shell.create()
    site.shell.end([job_id])
    site.shell.make_user("sam", staff=True, permissions=["view_job", "rerun_job"])
    ann.cookies["sessionid"] = site.shell.session("", "sam")
    prefix = site.root.removesuffix("/jobs") if site.name == "sub_path" else ""
    for page in (
        "",
        f"?q={job_id}",
        f"{job_id}/change/",
        f"{job_id}/rerun/",
        "summary/",
        "alive/",
    ):
        answer = ann.get(f"{prefix}/admin/{site.label}/jobrecord/{page}", headers=HTML)
        assert answer.status_code == 200, page
    assert ann.get(f"{site.root}/{job_id}/").status_code == 200  # another person's


@pytest.mark.parametrize("site", ["second_database", "own_jobs", "mariadb"], indirect=True)
def test_f51_old_jobs_are_purged_and_the_sweep_finds_nothing(site):
    (job_id,) = site.shell.create()
    site.shell.end([job_id])
    assert site.run("sweep_jobs")[-1].endswith("0 archived late.")
    site.shell.age(job_id, 40)
    site.run("purge_jobs", "--days", "30")
    assert site.shell.archived(job_id) is None


@pytest.mark.parametrize("site", ["mariadb"], indirect=True)
def test_f51_the_migrations_are_complete(site):
    site.run("makemigrations", "--check", "--dry-run")
