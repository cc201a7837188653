"""Back, reload and the back-forward cache; Playwright's own options would turn it off."""

import re

import pytest
import pytest_asyncio
from playwright.async_api import async_playwright, expect

from tests.system.harness.fake_worker import FakeWorker

from .conftest import CHROMIUM
from .harness import chromium
from .test_waiting_page import open_page

# Playwright's own Back waits for a `load` that the cache does not give
BACK = "void setTimeout(() => history.back())"


@pytest.fixture(scope="module")
def fake_worker(stack):
    """Return the process that plays the worker."""
    with FakeWorker(stack) as fake_worker:
        yield fake_worker


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser, pytestconfig, stack):
    """Return a page of a browser with the cache."""
    path = pytestconfig.stash[CHROMIUM]
    cached = ["--disable-back-forward-cache"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=path, args=chromium.ARGUMENTS, ignore_default_args=cached
        )
        yield await browser.new_page(base_url=stack.base_url)
        await browser.close()


async def test_a_cached_list_hears_what_happened_while_it_was_away(page, fake_worker, log_in):
    await log_in(page)
    await page.goto("/dashboard/")
    await expect(page.locator("job-list")).to_have_attribute("data-connected", "socket")
    job_id = fake_worker.create_running()
    item = page.locator(f"main li[data-job='{job_id}']")
    await expect(item).to_contain_text("Working")
    await page.evaluate("addEventListener('pageshow', ({persisted}) => { wasKept = persisted })")
    await page.goto("/drills/")
    fake_worker.call(job_id, "complete")
    await page.evaluate(BACK)
    await expect(item).to_contain_text("Ready")
    assert await page.evaluate("wasKept") is True


async def test_back_from_the_target_does_not_lead_to_the_waiting_page(page, fake_worker, log_in):
    await log_in(page)
    await page.goto("/dashboard/")
    job_id = fake_worker.create_running()
    await open_page(page, job_id, log_in)
    fake_worker.call(job_id, "complete")
    await page.wait_for_url("**/classrooms/1/")
    await page.evaluate(BACK)
    await expect(page).to_have_url(re.compile(r"/dashboard/$"))


async def test_back_to_a_left_waiting_page_goes_on_to_the_target(page, fake_worker, log_in):
    job_id = fake_worker.create_running()
    await open_page(page, job_id, log_in)
    await page.goto("/dashboard/")
    fake_worker.call(job_id, "complete")
    await page.evaluate(BACK)
    await page.wait_for_url("**/classrooms/1/")


async def test_reload_goes_on_where_it_was(page, fake_worker, log_in):
    job_id = fake_worker.create_running()
    await open_page(page, job_id, log_in)
    fake_worker.call(job_id, "set_progress", 1, 4, "Ada Lovelace")
    await expect(page.get_by_role("progressbar")).to_have_attribute("value", "25")
    await page.reload()
    await expect(page.get_by_role("progressbar")).to_have_attribute("value", "25")
    fake_worker.call(job_id, "complete")
    await page.wait_for_url("**/classrooms/1/")
