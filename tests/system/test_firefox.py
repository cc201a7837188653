"""The main path, the elements and the degradations in Firefox; Chromium has every detail."""

from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from tests.system.harness.fake_worker import FakeWorker
from tests.system.harness.no_websocket_proxy import NoWebSocketProxy
from tests.system.harness.stack import paused

CONNECTED = "document.querySelector('.jobs-waiting')?.dataset.connected === 'socket'"
BELL_IS_LIVE = "document.querySelector('job-bell')?.dataset.connected === 'socket'"
ESCAPE = "\ue00c"
TRANSFER = (
    "[...document.querySelectorAll('[name=target] option')]"
    ".findLast((it) => (it.selected = true)).value"
)


@pytest.fixture(scope="module")
def fake_worker(stack):
    """Return the process that plays the worker."""
    with FakeWorker(stack) as fake_worker:
        yield fake_worker


@pytest_asyncio.fixture(loop_scope="session")
async def ada(firefox, stack):
    """Return a page of Ada's, on which no script may fail."""
    async with firefox.page(stack.base_url) as page:
        await page.take_cookies(stack.logged_in_client("ada").cookies)
        yield page
    assert page.errors == []


async def open_waiting_page(page, job_id):
    """Open it, and wait until it listens."""
    await page.goto(f"/jobs/{job_id}/")
    await page.until(CONNECTED)


def says(text, selector="[role=status]"):
    return f"document.querySelector('{selector}')?.textContent.includes({text!r})"


def item(job_id, text):
    return says(text, f'li[data-job="{job_id}"]')


async def test_teacher_presses_a_button_waits_and_is_sent_on(ada, stack):
    await ada.goto("/classrooms/3/")
    await ada.ask(TRANSFER)
    with paused(stack.worker):
        await ada.click("form[action$='/transfer/'] button")
        await ada.until(says("Waiting for a worker"))
        await ada.until(CONNECTED)
    await ada.until("location.pathname === '/classrooms/3/'")
    await ada.until(says("It was so nice.", ".messages"))


async def test_names_pass_by_with_a_progress_bar(ada, fake_worker):
    job_id = fake_worker.create_running()
    await open_waiting_page(ada, job_id)
    fake_worker.call(job_id, "set_progress", 1200, 3000, "Ada Lovelace")
    await ada.until("document.querySelector('progress').value === 40")
    await ada.until(says("Ada Lovelace", "[data-part=detail]"))
    assert await ada.ask("document.title") == "40% · Moving the students"


async def test_cancel_is_told_and_the_failure_waits_for_the_person(ada, fake_worker):
    job_id = fake_worker.create_running()
    await open_waiting_page(ada, job_id)
    await ada.click("[data-part=cancel] button")
    await ada.until(says("Stopping…"))
    fake_worker.end(job_id, "cancelled")
    await ada.until(says("Cancelled"))
    await ada.until("document.activeElement.matches('h1')")
    await ada.click("[data-part=ready] button")
    await ada.until("location.pathname === '/classrooms/1/'")


async def test_back_from_the_target_does_not_lead_to_the_waiting_page_again(ada, fake_worker):
    await ada.goto("/dashboard/")
    job_id = fake_worker.create_running()
    await open_waiting_page(ada, job_id)
    fake_worker.call(job_id, "complete")
    await ada.until("location.pathname === '/classrooms/1/'")
    await ada.back()
    await ada.until("location.pathname === '/dashboard/'")


async def test_reload_of_the_waiting_page_goes_on_where_it_was(ada, fake_worker):
    job_id = fake_worker.create_running()
    await open_waiting_page(ada, job_id)
    await ada.reload()
    await ada.until(CONNECTED)
    fake_worker.call(job_id, "complete")
    await ada.until("location.pathname === '/classrooms/1/'")


async def test_back_to_a_list_shows_what_happened_in_between(ada, fake_worker):
    """Firefox keeps no page with a socket in its back-forward cache; Chromium does."""
    await ada.goto("/dashboard/")
    await ada.until(BELL_IS_LIVE)
    job_id = fake_worker.create_running()
    await ada.until(item(job_id, "Working"))
    await ada.goto("/drills/")
    fake_worker.call(job_id, "complete")
    await ada.back()
    await ada.until(item(job_id, "Ready"))


async def test_bell_counts_opens_and_closes_by_keyboard(ada, fake_worker):
    await ada.goto("/")
    await ada.until(BELL_IS_LIVE)
    before = int(await ada.ask("document.querySelector('job-bell').dataset.unseen ?? 0"))
    job_id = fake_worker.create_running()
    fake_worker.call(job_id, "complete")
    await ada.until(f"Number(document.querySelector('job-bell').dataset.unseen) === {before + 1}")
    await ada.click("job-bell > button")
    await ada.until(item(job_id, "Ready"))
    await ada.press(ESCAPE)
    await ada.until(
        "document.querySelector('.jobs-panel').hidden"
        " && document.activeElement.matches('.jobs-bell')"
    )


async def test_status_and_progress_follow_a_job_without_a_script_of_the_users(ada, fake_worker):
    await ada.goto("/")
    await ada.until(BELL_IS_LIVE)
    job_id = fake_worker.create_running()
    for kind in ("job-status", "job-progress"):
        await ada.ask(
            f"void document.querySelector('main')"
            f".append(Object.assign(document.createElement('{kind}'))),"
            f"void document.querySelector('main > {kind}').setAttribute('job', '{job_id}')"
        )
    fake_worker.call(job_id, "set_progress", 1, 4, "Ada Lovelace")
    await ada.until("document.querySelector('job-progress progress').value === 25")
    fake_worker.call(job_id, "fail", "The school is closed.")
    await ada.until(says("The school is closed.", "job-status"))


async def test_page_behind_a_proxy_that_refuses_sockets_polls(firefox, stack, fake_worker):
    job_id = fake_worker.create_running()
    with NoWebSocketProxy(urlsplit(stack.base_url).port) as proxy:
        async with firefox.page(f"http://127.0.0.1:{proxy.port}") as page:
            await page.take_cookies(stack.logged_in_client("ada").cookies)
            await page.goto(f"/jobs/{job_id}/")
            await page.until(
                "document.querySelector('.jobs-waiting').dataset.connected === 'polling'"
            )
            fake_worker.call(job_id, "complete")
            await page.until("location.pathname === '/classrooms/1/'")
