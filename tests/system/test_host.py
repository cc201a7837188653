"""In another project: what the waiting page weighs, the recipes as printed, and a deaf task."""

import subprocess
from urllib.parse import urlsplit

import pytest
from playwright.async_api import expect

from tests import front
from tests.docs.recipes import FETCH
from tests.system.harness.fake_worker import FakeWorker
from tests.system.harness.stack import LiveStack

from .test_waiting_page import open_page, status_of

MAX_WEIGHT = 40_000  # bytes of HTML, CSS and JavaScript, uncompressed
BUNDLED = """
import { JobsClient } from "%s/jobs/client.js";
const mine = JobsClient.shared().subscribe({ mine: true });
mine.addEventListener("ready", ({ detail: job }) => (document.title = `${job.header}: ready`));
"""


@pytest.fixture(scope="module")
def stack(prepared_database):
    """Return a project without the example's layout."""
    stack = LiveStack(prepared_database)
    stack.extra_env["DJANGO_SETTINGS_MODULE"] = "tests.system.projects.host.settings"
    with stack:
        yield stack


@pytest.fixture(scope="module")
def fake_worker(stack):
    """Return the process that plays the worker."""
    with FakeWorker(stack) as fake_worker:
        yield fake_worker


@pytest.mark.parametrize("language", ["en", "de", "ar"])
async def test_the_waiting_page_and_its_files_weigh_less_than_40_kb(
    page, fake_worker, log_in, language
):
    await page.set_extra_http_headers({"Accept-Language": language})
    answers, complaints = [], []
    page.on("response", lambda answer: answers.append(answer))
    page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
    job_id = fake_worker.create()
    await open_page(page, job_id, log_in)
    fake_worker.call(job_id, "start")
    fake_worker.call(job_id, "set_progress", 126, 300, "Zoë Fletcher")
    await expect(
        page.locator("[data-part=time]")
    ).not_to_be_empty()  # so the time has been loaded too
    loaded = {urlsplit(answer.url).path: len(await answer.body()) for answer in answers}
    fake_worker.call(job_id, "complete")
    await page.wait_for_url("**/classrooms/1/")
    weights = {path: weight for path, weight in loaded.items() if not path.endswith(".svg")}
    assert {"/static/jobs/jobs.css", "/static/jobs/bundle/waiting.js"} < set(weights)
    assert sum(weights.values()) < MAX_WEIGHT, weights
    assert complaints == []  # of the policy `default-src 'self'`, for one


async def test_the_htmx_recipe_shows_progress_and_stops_at_the_end(page, fake_worker, log_in):
    asked = []
    page.on("request", lambda request: asked.append(urlsplit(request.url).path))
    htmx = (front.packages() / "htmx.org" / "dist" / "htmx.min.js").read_text()
    await page.route(
        "**/htmx.js", lambda route: route.fulfill(body=htmx, content_type="text/javascript")
    )
    job_id = fake_worker.create_running()
    await log_in(page)
    await page.goto(f"/htmx/{job_id}/")
    await expect(page.locator("main")).to_contain_text("… %")
    fake_worker.call(job_id, "set_progress", 1, 4, "")
    await expect(page.locator("main")).to_contain_text("25 %")
    fake_worker.call(job_id, "complete")
    link = page.get_by_role("link", name="Ready")
    await expect(link).to_have_attribute("href", f"/jobs/{job_id}/")
    before = asked.count(f"/exports/{job_id}/")
    assert before >= 2
    await page.wait_for_timeout(2_500)  # longer than it waits between two questions
    assert asked.count(f"/exports/{job_id}/") == before
    await link.click()
    await page.wait_for_url("**/classrooms/1/")


async def test_recipe_for_fetch_waits_for_the_end(page, fake_worker, log_in):
    job_id = fake_worker.create_running()
    await log_in(page)
    await page.goto("/form/")
    async with page.expect_response(lambda answer: answer.status == 202):
        await page.evaluate(f"() => {{ {FETCH}; heard = ended('/jobs/{job_id}/') }}")
    fake_worker.call(job_id, "complete")
    assert await page.evaluate("heard.then(({state}) => state)") == "complete"


async def test_recipe_of_a_plain_form_leads_to_the_waiting_page(page, log_in):
    await log_in(page)
    await page.goto("/form/")
    await page.get_by_role("button", name="Start").click()
    await expect(page.locator(".jobs-waiting")).to_have_attribute("data-connected", "socket")
    await page.get_by_role("button", name="Cancel").click()
    await expect(status_of(page)).to_contain_text("Stopping…")


async def test_bundle_of_the_client_hears_of_my_job(page, fake_worker, log_in, tmp_path):
    entry = tmp_path / "entry.js"
    entry.write_text(BUNDLED % front.STATIC)
    command = [
        front.tool("esbuild"),
        entry,
        "--bundle",
        "--format=esm",
        f"--outfile={tmp_path / 'bundle.js'}",
    ]
    subprocess.run(command, check=True, capture_output=True)
    bundle = (tmp_path / "bundle.js").read_text()
    await page.route(
        "**/bundle.js", lambda route: route.fulfill(body=bundle, content_type="text/javascript")
    )
    await log_in(page)
    await page.goto("/form/")
    await page.add_script_tag(url="/bundle.js", type="module")
    job_id = fake_worker.create_running()
    fake_worker.call(job_id, "complete")
    await expect(page).to_have_title("Moving the students: ready")


async def test_staff_stop_by_force_who_did_not_hear(page, stack, log_in):
    ada = stack.visitor()
    ada.visit("/form/")
    waiting_page = ada.submit(ada.page.forms[0])
    await log_in(page, "head")
    await page.goto(waiting_page)
    await expect(status_of(page)).to_contain_text("Working")
    force = page.get_by_role("button", name="Stop it by force")
    await expect(force).to_be_hidden()
    await page.get_by_role("button", name="Cancel").click()
    await expect(status_of(page)).to_contain_text("Stopping…")
    await force.click()
    await expect(status_of(page)).to_have_text("Cancelled", timeout=10_000)
    await expect(force).to_be_hidden()
