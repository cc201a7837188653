"""Pages that Turbo Drive and htmx swap in without a new document, on the example's pages."""

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests import front
from tests.system.harness.fake_worker import FakeWorker
from tests.system.harness.stack import paused

SCRIPTS = {
    "turbo": "@hotwired/turbo/dist/turbo.es2017-umd.js",
    "htmx": "htmx.org/dist/htmx.min.js",
}
LOAD = """() => new Promise((onload) => {
    window.isSameDocument = true;
    document.body.setAttribute("hx-boost", "true");
    document.head.append(
        Object.assign(document.createElement("script"), {src: "/library.js", onload}));
})"""
FOLLOW = """(href) => {
    const link = Object.assign(document.createElement("a"), {href, textContent: href});
    document.querySelector("main").append(link);
    window.htmx?.process(link);
    link.click();
}"""
MOVE = "document.querySelector('main').append(document.querySelector('job-waiting'))"
BUSY = {"status": 503, "headers": {"Retry-After": "0"}, "body": ""}


@pytest.fixture(scope="module")
def fake_worker(stack):
    """Return the process that plays the worker."""
    with FakeWorker(stack) as fake_worker:
        yield fake_worker


@pytest.fixture
def posts(page):
    """Return a list that fills with the paths to which the page posts."""
    paths = []
    page.on(
        "request",
        lambda request: request.method == "POST" and paths.append(request.url.rsplit("/", 2)[-2]),
    )
    return paths


@pytest_asyncio.fixture(loop_scope="session", params=SCRIPTS)
async def swapping(request, page, log_in):
    """Return a page of the example in which a library swaps pages."""
    await enter(page, log_in, request.param)
    return page


async def enter(page, log_in, library):
    """Open the drills, and let the library take over."""
    script = (front.packages() / SCRIPTS[library]).read_text()
    await page.route(
        "**/library.js", lambda route: route.fulfill(body=script, content_type="text/javascript")
    )
    await log_in(page)
    await page.goto("/drills/")
    await page.evaluate(LOAD)


async def follow(page, job_id):
    """Follow a link to the job's waiting page, and wait until it listens."""
    await page.evaluate(FOLLOW, f"/jobs/{job_id}/")
    await expect(waiting(page, job_id)).to_have_attribute("data-connected", "socket")


async def leave(page):
    """Follow a link of the layout, which is swapped too."""
    await page.get_by_role("link", name="Classrooms", exact=True).click()
    await expect(page.get_by_role("heading", name="My classrooms")).to_be_visible()
    assert await page.evaluate("window.isSameDocument")


def waiting(page, job_id):
    return page.locator(f"job-waiting[data-job='{job_id}']")


async def test_who_sends_a_form_waits_and_is_sent_on(swapping, stack, posts):
    with paused(stack.worker):
        await swapping.get_by_role("button", name="A slow job").click()
        await expect(swapping.locator("job-waiting")).to_have_attribute("data-connected", "socket")
        assert await swapping.evaluate("window.isSameDocument")
    await swapping.wait_for_url("**/drills/")
    assert not await swapping.evaluate("window.isSameDocument")
    assert posts == ["drills", "ready"]


async def test_f54_second_waiting_page_of_a_document_works(swapping, fake_worker, posts):
    first, second = fake_worker.create_running(), fake_worker.create_running()
    await follow(swapping, first)
    await leave(swapping)
    await follow(swapping, second)
    assert await swapping.evaluate("window.isSameDocument")
    fake_worker.call(second, "complete")
    await swapping.wait_for_url("**/classrooms/1/")
    assert posts == ["ready"]


async def test_f54_same_page_swapped_in_twice_works(swapping, fake_worker, posts):
    job_id = fake_worker.create_running()
    await follow(swapping, job_id)
    await leave(swapping)
    await follow(swapping, job_id)
    fake_worker.call(job_id, "complete")
    await swapping.wait_for_url("**/classrooms/1/")
    assert posts == ["ready"]


async def test_f54_page_that_was_left_moves_nobody(swapping, fake_worker, posts):
    left, other = fake_worker.create_running(), fake_worker.create_running()
    await follow(swapping, left)
    await leave(swapping)
    fake_worker.call(left, "complete")
    await follow(
        swapping, other
    )  # it hears of its own job, so of the first one nothing is on its way any more
    await expect(swapping).to_have_url(f"{swapping.url.split('/jobs/')[0]}/jobs/{other}/")
    assert posts == []


async def test_f54_page_that_was_left_while_it_called_back_moves_nobody(
    swapping, fake_worker, posts
):
    left, other = fake_worker.create_running(), fake_worker.create_running()
    await swapping.route("**/ready/", lambda route: route.fulfill(**BUSY))
    await follow(swapping, left)
    fake_worker.call(left, "complete")
    await expect(swapping.get_by_role("status")).to_contain_text("Almost there…")
    await leave(swapping)
    await swapping.unroute("**/ready/")
    before = len(posts)
    await follow(swapping, other)
    await swapping.wait_for_timeout(2_000)  # longer than it waits between two posts
    assert len(posts) == before and swapping.url.endswith(f"/jobs/{other}/")


async def test_back_to_a_left_waiting_page_goes_on_to_the_target(swapping, fake_worker):
    job_id = fake_worker.create_running()
    await follow(swapping, job_id)
    await leave(swapping)
    fake_worker.call(job_id, "complete")
    await swapping.evaluate("void setTimeout(() => history.back())")
    await swapping.wait_for_url("**/classrooms/1/")


async def test_page_that_is_moved_in_its_document_goes_on_listening(swapping, fake_worker, posts):
    job_id = fake_worker.create_running()
    await follow(swapping, job_id)
    await swapping.evaluate(MOVE)
    await swapping.evaluate(MOVE)
    await expect(waiting(swapping, job_id)).to_have_attribute("data-connected", "socket")
    fake_worker.call(job_id, "set_progress", 1, 4, "")
    await expect(swapping.get_by_role("progressbar")).to_have_attribute("value", "25")
    fake_worker.call(job_id, "complete")
    await swapping.wait_for_url("**/classrooms/1/")
    assert posts == ["ready"]


async def test_bell_of_each_swapped_page_hears_of_my_jobs(swapping, fake_worker):
    await leave(swapping)
    await swapping.evaluate(FOLLOW, "/drills/")
    await expect(swapping.get_by_role("heading", name="Drills")).to_be_visible()
    bell = swapping.locator("job-bell")
    await expect(bell).to_have_attribute("data-connected", "socket")
    job_id = fake_worker.create_running()
    fake_worker.call(job_id, "complete")
    await bell.locator("> button").click()
    await expect(bell.locator(f"li[data-job='{job_id}']")).to_contain_text("Ready")


async def test_preview_of_turbo_does_nothing(page, fake_worker, log_in, posts):
    """Turbo shows its old copy of a page until the new one has come."""
    await enter(page, log_in, "turbo")
    job_id = fake_worker.create_running()
    await follow(page, job_id)
    html = await page.locator("job-waiting").evaluate("(it) => it.outerHTML")
    await leave(page)
    fake_worker.call(job_id, "complete")
    await page.evaluate("document.documentElement.dataset.turboPreview = ''")
    await page.evaluate("(html) => document.querySelector('main').innerHTML = html", html)
    await page.wait_for_timeout(1_000)
    assert posts == [] and page.url.endswith("/") and await page.evaluate("window.isSameDocument")


async def test_page_of_another_job_written_over_this_one_follows_that_job(
    page, fake_worker, log_in
):
    """Turbo's and htmx's morphing change the attributes of the element that is there."""
    first, second = fake_worker.create_running(), fake_worker.create_running()
    await log_in(page)
    await page.goto(f"/jobs/{first}/")
    await expect(waiting(page, first)).to_have_attribute("data-connected", "socket")
    await page.evaluate(
        """async (url) => {
        const html = await (await fetch(url)).text();
        const there = document.querySelector("job-waiting");
        const other = new DOMParser()
            .parseFromString(html, "text/html").querySelector("job-waiting");
        for (const {name, value} of other.attributes) there.setAttribute(name, value);
        there.innerHTML = other.innerHTML;
    }""",
        f"/jobs/{second}/",
    )
    await expect(waiting(page, second)).to_have_attribute("data-connected", "socket")
    fake_worker.call(first, "complete")
    fake_worker.call(second, "set_progress", 1, 4, "")
    await expect(page.get_by_role("progressbar")).to_have_attribute("value", "25")
    fake_worker.call(second, "complete")
    await page.wait_for_url("**/classrooms/1/")
