"""axe-core finds nothing in any state, light and dark; 400 % zoom and the keyboard alone are enough."""

from pathlib import Path

import axe_playwright_python
import pytest
from playwright.async_api import expect

from .backstage import Backstage
from .test_waiting_page import open_page

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
RUN = """(tags) => axe.run(document, {runOnly: tags}).then(({violations}) => violations.flatMap((violation) =>
    violation.nodes.map((node) => `${violation.id}: ${node.target} ${node.failureSummary}`)))"""
STATES = ["pending", "running", "progress", "cancelling", "failed", "cancelled", "expired", "lost"]


@pytest.fixture(scope="module")
def backstage(stack):
    """Return the process that plays the worker."""
    with Backstage(stack) as backstage:
        yield backstage


def bring(backstage, job_id, state):
    """Bring a new job into a state."""
    if state == "pending":
        return
    backstage.call(job_id, "start")
    if state == "progress":
        backstage.call(job_id, "set_progress", 30, 100, "Ada Lovelace")
    elif state == "cancelling":
        backstage.call(job_id, "cancel")
    elif state == "failed":
        backstage.call(job_id, "fail", "The school is closed.")
    elif state != "running":
        backstage.end(job_id, state)


async def complaints(page):
    """Run axe once nothing moves any more."""
    await page.evaluate(
        "Promise.all(document.getAnimations().map((it) => { try { it.finish() } catch { it.cancel() } }))"
    )
    await page.evaluate(AXE.read_text() + ";0")
    return await page.evaluate(RUN, TAGS)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("state", STATES)
async def test_axe_finds_nothing_on_the_waiting_page(page, backstage, log_in, state, scheme):
    await page.emulate_media(color_scheme=scheme)
    job_id = backstage.create()
    bring(backstage, job_id, state)
    await log_in(page)
    await page.goto(f"/jobs/{job_id}/")
    await expect(page.locator(".jobs-waiting")).to_have_attribute(
        "data-state", state if state in STATES[4:] + STATES[:1] else "running"
    )
    assert await complaints(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_when_it_is_ready_or_out_of_reach(page, backstage, log_in, scheme):
    await page.emulate_media(color_scheme=scheme)
    await page.route("**/ready/", lambda route: route.fulfill(status=403))
    job_id = backstage.create_running()
    await open_page(page, job_id, log_in)
    backstage.call(job_id, "complete")
    await expect(page.get_by_role("link", name="Reload")).to_be_visible()
    assert await complaints(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/jobs/", "/dashboard/", "/drills/", "/classrooms/1/watch/"])
async def test_axe_finds_nothing_on_lists_and_bell(page, backstage, log_in, path, scheme):
    await page.emulate_media(color_scheme=scheme)
    for state in ("pending", "progress", "failed"):
        bring(backstage, backstage.create("ada", "classroom:1"), state)
    await log_in(page)
    await page.goto(path)
    await expect(page.locator("job-bell")).to_have_attribute("data-connected", "socket")
    await page.locator("job-bell > button").click()
    await expect(page.locator("job-bell li").first).to_be_visible()
    assert await complaints(page) == []


@pytest.mark.parametrize("language", ["en", "ar"])
async def test_nothing_is_cut_off_at_400_per_cent(browser, stack, backstage, log_in, language):
    """WCAG 1.4.10: 1280 pixels at 400 % are 320."""
    job_id = backstage.create_running()
    backstage.call(job_id, "set_progress", 30, 100, "Ada Lovelace")
    small = {"width": 320, "height": 256}
    async with await browser.new_context(base_url=stack.base_url, viewport=small, locale=language) as context:
        page = await context.new_page()
        await open_page(page, job_id, log_in)
        assert await page.evaluate("document.documentElement.dir") == ("rtl" if language == "ar" else "ltr")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 320
        await page.goto("/jobs/")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 320


async def test_keyboard_alone_cancels_and_goes_on(page, backstage, log_in):
    job_id = backstage.create_running()
    await open_page(page, job_id, log_in)
    await page.locator("h1").focus()
    names = []
    while "Cancel" not in names:
        await page.keyboard.press("Tab")
        names.append(await page.evaluate("document.activeElement.textContent.trim()"))
        assert len(names) < 6, names
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("Stopping…")
    backstage.end(job_id, "cancelled")
    await expect(page.locator("h1")).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="Continue")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/classrooms/1/")
