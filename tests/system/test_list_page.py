"""The list of one's own jobs, in a real browser."""

import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.system.harness.fake_worker import FakeWorker

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def fake_worker(stack):
    """Return the process that plays the worker."""
    with FakeWorker(stack) as fake_worker:
        yield fake_worker


async def open_list(page, log_in, username):
    """Log in, open the list, and wait until it listens."""
    await log_in(page, username)
    await page.goto("/jobs/")
    await expect(page.locator("job-list")).to_have_attribute("data-connected", "socket")


def item_of(page, job_id):
    return page.locator(f"li[data-job='{job_id}']")


async def test_job_appears_while_one_looks_and_is_followed_to_its_end(page, fake_worker, log_in):
    await open_list(page, log_in, "grace")
    job_id = fake_worker.create("grace")
    item = item_of(page, job_id)
    await expect(item).to_contain_text("Waiting for a worker")
    fake_worker.call(job_id, "start")
    fake_worker.call(job_id, "set_progress", 3, 10, "Ada Lovelace")
    await expect(item).to_contain_text("Working 30%")
    await expect(item.get_by_role("progressbar", name="Moving the students")).to_have_attribute(
        "value", "30"
    )
    fake_worker.call(job_id, "complete")
    await expect(item).to_contain_text("Ready")
    await expect(item.get_by_role("link")).to_have_attribute("href", f"/jobs/{job_id}/")


async def test_items_that_the_server_has_written_are_taken_over(page, fake_worker, log_in):
    older, newer = fake_worker.create_running("grace"), fake_worker.create("grace")
    await open_list(page, log_in, "grace")
    fake_worker.call(older, "fail", "<b>The school</b> is closed.")
    await expect(item_of(page, older)).to_contain_text("<b>The school</b> is closed.")
    newest = fake_worker.create("grace")
    await expect(item_of(page, newest)).to_be_visible()
    ids = await page.locator("job-list li").evaluate_all(
        "(items) => items.map((item) => item.dataset.job)"
    )
    assert ids[:3] == [newest, newer, older]


async def test_colleagues_jobs_are_not_listed(page, fake_worker, log_in):
    await open_list(page, log_in, "grace")
    theirs, mine = fake_worker.create("ada"), fake_worker.create("grace")
    await expect(item_of(page, mine)).to_be_visible()
    await expect(item_of(page, theirs)).to_have_count(0)


async def test_list_goes_on_when_the_connection_is_back(page, fake_worker, log_in):
    sockets = []

    def pass_on(socket):
        sockets.append(socket)
        socket.connect_to_server()

    await page.route_web_socket("**/ws/**", pass_on)
    await open_list(page, log_in, "grace")
    job_id = fake_worker.create_running("grace")
    await expect(item_of(page, job_id)).to_contain_text("Working")
    await sockets[0].close(code=1012)
    fake_worker.call(job_id, "complete")
    await expect(item_of(page, job_id)).to_contain_text("Ready")
    assert len(sockets) == 2


async def test_job_claimed_elsewhere_while_nothing_was_heard_is_not_left_behind(
    page, fake_worker, log_in
):
    sockets = []
    await page.route_web_socket(
        "**/ws/jobs/", lambda socket: sockets.append(socket)
    )  # the page's own; nothing comes from the server
    job_id = fake_worker.create_running("grace")
    await log_in(page, "grace")
    await page.goto("/jobs/")
    await expect(item_of(page, job_id)).to_contain_text("Working")
    fake_worker.call(job_id, "complete")
    other = await page.context.new_page()
    await other.goto(f"/jobs/{job_id}/")
    await other.wait_for_url("**/classrooms/1/")
    await expect(item_of(page, job_id)).to_contain_text("Working")
    sockets[0].send('{"event": "subscribed", "mine": true}')
    await expect(item_of(page, job_id)).to_contain_text("Ready")


@pytest.mark.parametrize("document", ["README.md", "docs/frontend.md"])
async def test_the_five_lines_of_the_documents_hear_of_my_job(
    browser, stack, fake_worker, log_in, document
):
    lines = re.search(
        r'<script type="module">\n.*?</script>', (ROOT / document).read_text(), re.DOTALL
    )[0].splitlines()
    assert len(lines) == 5
    async with await browser.new_context(base_url=stack.base_url, bypass_csp=True) as context:
        page = await context.new_page()
        await log_in(page, "grace")
        await page.goto("/no-such-page/")  # a page of the host without anything of ours
        await page.add_script_tag(type="module", content="\n".join(lines[1:-1]))
        job_id = fake_worker.create_running("grace")
        fake_worker.call(job_id, "complete")
        await expect(page).to_have_title("Moving the students: ready")
