"""The waiting page on a strict site: below a path, hashed static files, a policy with nonces."""

import json

import pytest
from playwright.async_api import expect

from tests.system.harness.fake_worker import FakeWorker
from tests.system.harness.stack import LiveStack


class StrictStack(LiveStack):
    """A stack that collects its static files and keeps only the hashed ones."""

    application = "tests.system.projects.strict.asgi:application"

    def __init__(self, prepared, static):
        super().__init__(prepared)
        self.static = static
        self.extra_env |= {
            "DJANGO_SETTINGS_MODULE": "tests.system.projects.strict.settings",
            "STRICT_STATIC_ROOT": str(static),
        }
        self.extra_env |= {"SECRET_KEY": "only-for-this-test", "DEBUG": ""}

    def prepare_database(self):
        """Prepare the static files too."""
        super().prepare_database()
        self.run("collectstatic", "--no-input")
        manifest = json.loads((self.static / "staticfiles.json").read_text())["paths"]
        for name in manifest:
            (self.static / name).unlink()


@pytest.fixture(scope="module")
def stack(prepared_database, tmp_path_factory):
    """Return the strict site."""
    with StrictStack(prepared_database, tmp_path_factory.mktemp("static")) as stack:
        yield stack


@pytest.fixture(scope="module")
def fake_worker(stack):
    """Return the process that plays the worker."""
    with FakeWorker(stack) as fake_worker:
        yield fake_worker


@pytest.fixture
def complaints(page):
    """Return a list that fills with the browser's complaints: blocked or missing files."""
    texts = []
    page.on("console", lambda message: message.type == "error" and texts.append(message.text))
    return texts


async def test_waiting_page_listens_and_sends_on(page, fake_worker, log_in, complaints):
    job_id = fake_worker.create_running()
    await log_in(page)
    async with page.expect_websocket() as socket:
        await page.goto(f"/shop/jobs/{job_id}/")
    assert (await socket.value).url.endswith("/shop/ws/jobs/")
    await expect(page.locator("job-waiting")).to_have_attribute("data-connected", "socket")
    fake_worker.call(job_id, "set_progress", 1, 4, "Ada Lovelace")
    await expect(page.get_by_role("progressbar")).to_have_attribute("value", "25")
    await expect(page.locator("[data-part=time]")).not_to_be_empty()
    assert (
        await page.locator(".jobs-card").evaluate("(it) => getComputedStyle(it).borderRadius")
        == "16px"
    )
    assert complaints == []
    fake_worker.call(job_id, "complete")
    await page.wait_for_url("**/shop/classrooms/1/")


async def test_icons_of_a_hidden_tab_are_there(page, fake_worker, log_in, complaints):
    job_id = fake_worker.create_running()
    await log_in(page)
    await page.goto(f"/shop/jobs/{job_id}/")
    icons = (await page.locator("job-waiting").get_attribute("data-icons")).split()
    answers = [await page.request.get(icon) for icon in icons]
    assert [answer.status for answer in answers] == [200] * 6
    assert complaints == []


async def test_list_is_live(page, fake_worker, log_in, complaints):
    job_id = fake_worker.create_running()
    await log_in(page)
    await page.goto("/shop/jobs/")
    await expect(page.locator("job-list")).to_have_attribute("data-connected", "socket")
    fake_worker.call(job_id, "complete")
    await expect(page.locator(f"li[data-job='{job_id}']")).to_contain_text("Ready")
    assert complaints == []


async def test_page_whose_script_cannot_be_loaded_does_not_wait_in_silence(
    page, fake_worker, log_in
):
    job_id = fake_worker.create_running()
    await page.route("**/*.js", lambda route: route.abort())
    await log_in(page)
    await page.goto(f"/shop/jobs/{job_id}/")
    fake_worker.call(job_id, "complete")
    await expect(page.get_by_text("does not follow the work by itself")).to_be_visible(
        timeout=15_000
    )
    await page.get_by_role("button", name="Continue").click()
    await page.wait_for_url("**/shop/classrooms/1/")
