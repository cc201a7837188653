"""The custom elements on other pages, in a real browser."""

from urllib.parse import urlsplit

import pytest
from playwright.async_api import expect

from tests.system.harness.fake_worker import FakeWorker
from tests.system.harness.no_websocket_proxy import NoWebSocketProxy
from tests.system.harness.stack import paused

ELEMENTS = """async ([kind, job]) => {
    await import("/static/jobs/elements.js");
    const element = document.createElement(kind);
    if (job) element.setAttribute("job", job);
    document.querySelector("main").append(element);
}"""


@pytest.fixture(scope="module")
def fake_worker(stack):
    """Return the process that plays the worker."""
    with FakeWorker(stack) as fake_worker:
        yield fake_worker


async def open_home(page, log_in, username="grace"):
    """Open a page that has the bell, and wait until it listens."""
    await log_in(page, username)
    await page.goto("/")
    await expect(page.locator("job-bell")).to_have_attribute("data-connected", "socket")


def bell_of(page):
    return page.locator("job-bell > button")


async def unseen(page):
    return int(await page.locator("job-bell").get_attribute("data-unseen") or 0)


async def test_bell_counts_what_has_ended_and_survives_a_change_of_the_page(
    page, fake_worker, log_in
):
    await open_home(page, log_in)
    before = await unseen(page)
    job_id = fake_worker.create_running("grace")
    fake_worker.call(job_id, "complete")
    await expect(page.locator("job-bell")).to_have_attribute("data-unseen", str(before + 1))
    await expect(bell_of(page)).to_have_accessible_name(f"Your jobs {before + 1} new")
    await page.goto("/dashboard/")
    await expect(page.locator("job-bell")).to_have_attribute("data-unseen", str(before + 1))


async def test_bell_opens_by_keyboard_and_its_list_leads_to_the_job(page, fake_worker, log_in):
    await open_home(page, log_in)
    job_id = fake_worker.create_running("grace")
    await bell_of(page).focus()
    await page.keyboard.press("Enter")
    await expect(bell_of(page)).to_have_attribute("aria-expanded", "true")
    link = page.locator(f"job-bell li[data-job='{job_id}'] a")
    await expect(link).to_be_visible()
    await page.keyboard.press("Tab")
    await expect(page.locator("job-bell li a").first).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(bell_of(page)).to_be_focused()
    await expect(bell_of(page)).to_have_attribute("aria-expanded", "false")
    await page.keyboard.press("Enter")
    await link.press("Enter")
    await page.wait_for_url(f"**/jobs/{job_id}/")


async def test_bell_says_what_is_ready(page, fake_worker, log_in):
    await open_home(page, log_in)
    job_id = fake_worker.create_running("grace")
    fake_worker.call(job_id, "complete")
    await expect(page.locator("job-bell [aria-live]")).to_have_text("Moving the students: Ready")


async def test_what_was_looked_at_on_another_page_is_new_no_more(page, fake_worker, log_in):
    await open_home(page, log_in)
    before = await unseen(page)
    job_id = fake_worker.create_running("grace")
    fake_worker.call(job_id, "complete")
    await expect(page.locator("job-bell")).to_have_attribute("data-unseen", str(before + 1))
    other = await page.context.new_page()
    await other.goto(f"/jobs/{job_id}/")
    await other.wait_for_url("**/classrooms/1/")
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await expect(page.locator("job-bell")).to_have_attribute("data-unseen", str(before))


@pytest.mark.parametrize(
    ("width", "language"), [(320, "en"), (390, "ar"), (1000, "en"), (1000, "ar")]
)
async def test_bells_list_is_on_the_screen(browser, stack, log_in, width, language):
    size = {"width": width, "height": 700}
    async with await browser.new_context(
        base_url=stack.base_url, viewport=size, locale=language
    ) as context:
        page = await context.new_page()
        await open_home(page, log_in)
        await bell_of(page).click()
        box = await page.locator("job-bell .jobs-panel").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width


async def test_bell_closes_when_one_clicks_elsewhere(page, log_in):
    await open_home(page, log_in)
    await bell_of(page).click()
    await expect(page.locator("job-bell .jobs-panel")).to_be_visible()
    await page.locator("h1").click(position={"x": 3, "y": 3})
    await expect(page.locator("job-bell .jobs-panel")).to_be_hidden()


async def test_status_and_progress_need_no_script_of_the_users(page, fake_worker, log_in):
    await open_home(page, log_in)
    job_id = fake_worker.create_running("grace")
    for kind in ("job-status", "job-progress"):
        await page.evaluate(ELEMENTS, [kind, job_id])
    fake_worker.call(job_id, "set_progress", 1, 4, "Ada Lovelace")
    bar = page.locator("job-progress progress")
    await expect(bar).to_have_attribute("value", "25")
    await expect(page.locator("job-progress")).to_contain_text("Ada Lovelace")
    fake_worker.call(job_id, "fail", "The school is closed.")
    await expect(page.locator("job-status")).to_have_text("failedThe school is closed.")
    await expect(page.locator("job-status")).to_have_attribute("role", "status")


async def test_element_follows_another_job_when_its_attribute_changes(page, fake_worker, log_in):
    await open_home(page, log_in)
    first, second = fake_worker.create_running("grace"), fake_worker.create("grace")
    await page.evaluate(ELEMENTS, ["job-status", first])
    status = page.locator("job-status")
    await expect(status).to_have_attribute("data-state", "running")
    await status.evaluate("(it, job) => it.setAttribute('job', job)", second)
    await expect(status).to_have_attribute("data-state", "pending")


async def test_a_colleague_watches_by_tag_and_ticket_in_a_list_apart(page, fake_worker, log_in):
    await log_in(page, "grace")
    await page.goto("/classrooms/1/watch/")
    tagged = page.locator("job-list[tag]")
    await expect(tagged).to_have_attribute("data-connected", "socket")
    theirs, mine = fake_worker.create("ada", "classroom:1"), fake_worker.create("grace")
    await expect(tagged.locator(f"li[data-job='{theirs}']")).to_contain_text(
        "Waiting for a worker"
    )
    await bell_of(page).click()
    own = page.locator("job-bell job-list")
    await expect(own.locator(f"li[data-job='{mine}']")).to_be_visible()
    await expect(own.locator(f"li[data-job='{theirs}']")).to_have_count(0)
    await expect(tagged.locator(f"li[data-job='{mine}']")).to_have_count(0)
    await expect(tagged.locator("a")).to_have_count(0)
    fake_worker.call(theirs, "start")
    fake_worker.call(theirs, "complete")
    await expect(tagged.locator(f"li[data-job='{theirs}']")).to_contain_text("Ready")


async def test_colleague_finds_the_way_by_clicking_and_sees_a_transfer_go_on(
    page, browser, stack, log_in
):
    await log_in(page, "grace")
    await page.goto("/")
    await page.get_by_role("link", name="Kestrel Class").click()
    await expect(page.locator("job-list[tag]")).to_have_attribute("data-connected", "socket")
    async with await browser.new_context(base_url=stack.base_url) as context:
        ada = await context.new_page()
        await log_in(ada, "ada")
        await ada.goto("/classrooms/1/")
        await ada.locator("select[name=target]").select_option(index=1)
        with paused(stack.worker):
            await ada.get_by_role("button", name="Move all students").click()
            await expect(page.locator("job-list[tag] li").first).to_contain_text(
                "Waiting for a worker"
            )
        await ada.wait_for_url("**/classrooms/1/")
    await expect(page.locator("job-list[tag] li").first).to_contain_text("Ready")


async def test_bell_and_list_poll_where_no_socket_can_be_had(page, stack, fake_worker, log_in):
    await log_in(page, "grace")
    with NoWebSocketProxy(urlsplit(stack.base_url).port) as proxy:
        await page.goto(f"http://127.0.0.1:{proxy.port}/dashboard/")
        await expect(page.locator("job-bell")).to_have_attribute("data-connected", "polling")
        before = await unseen(page)
        job_id = fake_worker.create_running("grace")
        item = page.locator(f"main li[data-job='{job_id}']")
        await expect(item).to_contain_text("Working", timeout=10_000)
        fake_worker.call(job_id, "complete")
        await expect(item).to_contain_text("Ready", timeout=12_000)
        await expect(page.locator("job-bell")).to_have_attribute("data-unseen", str(before + 1))


async def test_a_waiting_page_inside_another_page_goes_on_when_ready(page, stack, log_in):
    await log_in(page, "ada")
    await page.goto("/drills/")
    with paused(stack.worker):
        await page.get_by_role("button", name="One job for a group of five tasks").click()
        await page.wait_for_url("**/drills/*/")
        await expect(
            page.get_by_text("the tag job_waiting has put the waiting page into it")
        ).to_be_visible()
        await expect(page.get_by_role("status")).to_contain_text("Waiting for a worker")
        await expect(page.locator(".jobs-waiting")).to_have_attribute("data-connected", "socket")
    await page.wait_for_url("**/drills/")
