"""axe-core finds nothing in any state; 400 % zoom and the keyboard alone are enough."""

from pathlib import Path

import axe_playwright_python
import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.system.harness.fake_worker import FakeWorker
from tests.system.harness.page_situations import SITUATIONS, bring, show

from .test_waiting_page import open_page

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
ADD_ELEMENT = """([kind, job]) => {
    const element = document.createElement(kind);
    element.setAttribute("job", job);
    document.querySelector("main").append(element);
}"""
RUN = """async (only) => {
    const {violations} = await axe.run(document, {runOnly: only, resultTypes: ["violations"]});
    return violations.flatMap(({id, nodes}) =>
        nodes.map((node) => `${id}: ${node.target} ${node.failureSummary}`));
}"""


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def still(page):
    """Let nothing move: it is to be looked at, and moving takes most of a small machine."""
    await page.emulate_media(reduced_motion="reduce")


@pytest.fixture(scope="module")
def fake_worker(stack):
    """Return the process that plays the worker."""
    with FakeWorker(stack) as fake_worker:
        yield fake_worker


async def complaints(page):
    """Run axe once nothing moves any more; in the dark as far as colours go."""
    await page.evaluate(
        "Promise.all(document.getAnimations()"
        ".map((it) => { try { it.finish() } catch { it.cancel() } }))"
    )
    await page.evaluate(AXE.read_text() + ";0")
    found = await page.evaluate(RUN, TAGS)
    await page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    return found + [f"dark {violation}" for violation in await page.evaluate(RUN, COLOURS)]


@pytest.mark.parametrize("situation", SITUATIONS)
async def test_axe_finds_nothing_in_any_situation_of_the_waiting_page(
    page, fake_worker, log_in, situation
):
    await log_in(page)
    await show(page, fake_worker, situation)
    assert await complaints(page) == []


@pytest.mark.parametrize("situation", ["progress", "failed", "told"])
async def test_axe_finds_nothing_from_right_to_left(
    browser, stack, fake_worker, log_in, situation
):
    async with await browser.new_context(base_url=stack.base_url, locale="ar") as context:
        page = await context.new_page()
        await log_in(page)
        await show(page, fake_worker, situation)
        assert await page.evaluate("document.documentElement.dir") == "rtl"
        assert await complaints(page) == []


@pytest.mark.parametrize(
    "path", ["/", "/jobs/", "/dashboard/", "/drills/", "/classrooms/1/watch/"]
)
async def test_axe_finds_nothing_on_lists_and_bell(page, fake_worker, log_in, path):
    for situation in ("pending", "progress", "failed"):
        bring(fake_worker, situation)
    await log_in(page)
    await page.goto(path)
    await expect(page.locator("job-bell")).to_have_attribute("data-connected", "socket")
    await page.locator("job-bell > button").click()
    await expect(page.locator("job-bell li").first).to_be_visible()
    assert await complaints(page) == []


async def test_axe_finds_nothing_on_a_page_that_embeds_elements(page, fake_worker, log_in):
    job_id = fake_worker.create_running()
    fake_worker.call(job_id, "set_progress", 30, 100, "Ada Lovelace")
    await log_in(page)
    await page.goto(f"/drills/{job_id}/")
    await expect(page.locator(".jobs-waiting")).to_have_attribute("data-connected", "socket")
    for kind in ("job-status", "job-progress"):
        await page.evaluate(ADD_ELEMENT, [kind, job_id])
        await expect(page.locator(kind)).to_have_attribute("data-state", "running")
    assert await complaints(page) == []


@pytest.mark.parametrize("language", ["en", "ar"])
async def test_nothing_is_cut_off_at_400_per_cent(browser, stack, fake_worker, log_in, language):
    """WCAG 1.4.10: 1280 pixels at 400 % are 320."""
    job_id = fake_worker.create_running()
    fake_worker.call(job_id, "set_progress", 30, 100, "Ada Lovelace")
    small = {"width": 320, "height": 256}
    async with await browser.new_context(
        base_url=stack.base_url, viewport=small, locale=language
    ) as context:
        page = await context.new_page()
        await open_page(page, job_id, log_in)
        assert await page.evaluate("document.documentElement.dir") == (
            "rtl" if language == "ar" else "ltr"
        )
        assert await page.evaluate("document.documentElement.scrollWidth") <= 320
        await page.goto("/jobs/")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 320


async def test_keyboard_alone_cancels_and_goes_on(page, fake_worker, log_in):
    job_id = fake_worker.create_running()
    await open_page(page, job_id, log_in)
    await page.locator("h1").focus()
    names = []
    while "Cancel" not in names:
        await page.keyboard.press("Tab")
        names.append(await page.evaluate("document.activeElement.textContent.trim()"))
        assert len(names) < 6, names
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("Stopping…")
    fake_worker.end(job_id, "cancelled")
    await expect(page.locator("h1")).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="Continue")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/classrooms/1/")
