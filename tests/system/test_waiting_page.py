"""What a person sees and does on the waiting page, in a real browser."""

import json
import re
from urllib.parse import urlsplit

import pytest
from playwright.async_api import expect

from jobs.views import POLL_SECONDS
from project.demo.visitor import PASSWORD
from tests.system.harness.fake_worker import FakeWorker
from tests.system.harness.no_websocket_proxy import NoWebSocketProxy
from tests.system.harness.stack import paused

LISTEN_TO_STATUS = """() => {
    spoken = [];
    const status = document.querySelector("[role=status]");
    new MutationObserver(() => spoken.push(status.innerText))
        .observe(status, {subtree: true, childList: true});
}"""
HIDDEN_TAB = (
    "Object.defineProperty(document, 'hidden',"
    " {get: () => window.isHidden ?? true, configurable: true})"
)


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


async def open_page(page, job_id, log_in, username="ada"):
    """Log in, open the waiting page, and wait until it listens."""
    await log_in(page, username)
    await page.goto(f"/jobs/{job_id}/")
    await expect(page.locator(".jobs-waiting")).to_have_attribute("data-connected", "socket")


def status_of(page):
    return page.get_by_role("status")


async def test_teacher_presses_a_button_waits_and_is_sent_on(page, stack, log_in):
    await log_in(page, "ada")
    await page.goto("/classrooms/2/")
    await page.locator("select[name=target]").select_option(index=1)
    with paused(stack.worker):
        await page.get_by_role("button", name="Move all students").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Moving the students")
        await expect(status_of(page)).to_contain_text("Waiting for a worker")
    await page.wait_for_url("**/classrooms/2/")
    await expect(page.get_by_text("It was so nice.")).to_be_visible()


async def test_names_pass_by_with_a_progress_bar(page, fake_worker, log_in):
    job_id = fake_worker.create_running()
    await open_page(page, job_id, log_in)
    bar = page.get_by_role("progressbar", name="Moving the students")
    await expect(bar).not_to_have_attribute("value", re.compile(""))
    fake_worker.call(job_id, "set_progress", 1200, 3000, "Ada Lovelace")
    await expect(bar).to_have_attribute("value", "40")
    await expect(page.get_by_text("Ada Lovelace")).to_be_visible()
    await expect(page.get_by_text("1,200 of 3,000")).to_be_visible()
    await expect(page).to_have_title("40% · Moving the students")


async def test_job_that_ended_before_is_ready_at_once(page, fake_worker, log_in, posts):
    job_id = fake_worker.create_running()
    fake_worker.call(job_id, "complete")
    await log_in(page)
    await page.goto(f"/jobs/{job_id}/")
    await page.wait_for_url("**/classrooms/1/")
    assert posts == ["ready"]


async def test_failure_is_shown_and_waits_for_the_person(page, fake_worker, log_in, posts):
    job_id = fake_worker.create_running()
    await open_page(page, job_id, log_in)
    fake_worker.call(job_id, "fail", "The school is closed.")
    await expect(status_of(page)).to_contain_text("That did not work")
    await expect(page.locator("p", has_text="The school is closed.")).to_be_visible()
    assert posts == []
    await page.get_by_role("button", name="Continue").click()
    await page.wait_for_url("**/classrooms/1/")


async def test_claimed_job_shows_a_link_and_posts_nothing(page, fake_worker, log_in, posts):
    job_id = fake_worker.create_running()
    fake_worker.call(job_id, "complete")
    await log_in(page)
    await page.goto(f"/jobs/{job_id}/")
    await page.wait_for_url("**/classrooms/1/")
    await page.goto(f"/jobs/{job_id}/")
    await expect(page.get_by_role("link", name="See the result")).to_have_attribute(
        "href", "/classrooms/1/"
    )
    await expect(page.get_by_role("button", name="Continue")).to_have_count(0)
    assert posts == ["ready"]


async def test_staff_look_on_and_claim_nothing(page, fake_worker, log_in, posts):
    job_id = fake_worker.create_running()
    await open_page(page, job_id, log_in, "head")
    fake_worker.call(job_id, "complete")
    await expect(status_of(page)).to_have_text("Ready")
    await expect(page.get_by_role("button", name="Continue")).to_have_count(0)
    assert posts == []


async def test_cancel_stops_the_job_at_its_next_progress(page, fake_worker, log_in):
    job_id = fake_worker.create_running()
    await open_page(page, job_id, log_in)
    await page.get_by_role("button", name="Cancel").click()
    await expect(status_of(page)).to_have_text("Working Stopping…")
    fake_worker.end(job_id, "cancelled")
    await expect(status_of(page)).to_have_text("Cancelled")
    await expect(page.get_by_role("button", name="Cancel")).to_be_hidden()
    await expect(page.get_by_role("heading", level=1)).to_be_focused()


async def test_markup_and_bidi_overrides_are_text_like_any_other(page, fake_worker, log_in):
    text = "<script>document.title = 'pwned'</script>\u202e<img src=x>"
    job_id = fake_worker.create_running()
    await open_page(page, job_id, log_in)
    fake_worker.call(job_id, "set_progress", 1, 4, text)
    name = page.locator("bdi", has_text="pwned")
    await expect(name).to_have_text(text)
    await page.reload()
    await expect(name).to_have_text(text)
    await expect(page.locator("img[src=x]")).to_have_count(0)
    await expect(page).to_have_title("25% · Moving the students")


async def test_progress_is_spoken_seldom(page, fake_worker, log_in):
    sockets = []
    await page.route_web_socket(
        "**/ws/**", lambda socket: sockets.append(socket)
    )  # the test is the server
    job_id = fake_worker.create_running()
    await log_in(page)
    await page.goto(f"/jobs/{job_id}/")
    await page.evaluate(LISTEN_TO_STATUS)
    version = int(await page.locator(".jobs-waiting").get_attribute("data-version"))
    for n in range(1, 100):
        progress = {"current": n, "total": 100, "percent": n, "message": f"student {n}"}
        job = {"id": job_id, "state": "running", "version": version + n, "progress": progress}
        sockets[0].send(json.dumps({"event": "progress", "job": job}))
    await expect(page.get_by_role("progressbar")).to_have_attribute("value", "99")
    assert await page.evaluate("spoken") == ["Working\n25%"]


async def test_tab_in_the_background_says_ready_and_goes_on_when_looked_at(
    page, fake_worker, log_in, posts
):
    await page.add_init_script(HIDDEN_TAB)
    job_id = fake_worker.create_running()
    await open_page(page, job_id, log_in)
    fake_worker.call(job_id, "complete")
    await expect(page).to_have_title("Ready · Moving the students")
    assert posts == []
    await page.evaluate(
        "window.isHidden = false; document.dispatchEvent(new Event('visibilitychange'))"
    )
    await page.wait_for_url("**/classrooms/1/")


async def test_refused_token_leads_to_a_hint_and_not_to_a_loop(page, fake_worker, log_in, posts):
    job_id = fake_worker.create_running()
    await open_page(page, job_id, log_in)
    await page.context.clear_cookies(name="csrftoken")
    fake_worker.call(job_id, "complete")
    await expect(status_of(page)).to_contain_text("This page is out of date.")
    assert posts == ["ready"]
    await page.get_by_role("link", name="Reload").click()
    await page.wait_for_url("**/classrooms/1/")


async def test_hook_that_fails_is_told_and_not_run_again_by_itself(
    page, fake_worker, log_in, posts
):
    job_id = fake_worker.create_running()
    await open_page(page, job_id, log_in)
    fake_worker.write(job_id, "classroom_id", "nowhere")
    fake_worker.call(job_id, "complete")
    await expect(status_of(page)).to_contain_text("what comes after it did not go well")
    assert posts == ["ready"]
    await page.get_by_role("button", name="Continue").click()
    await expect(page.locator(".jobs-waiting[data-stuck][data-connected]")).to_be_visible()
    await expect(page.get_by_role("link", name="Your jobs")).to_be_visible()
    assert posts == ["ready", "ready"]


async def test_server_that_cannot_be_reached_leaves_the_button(page, fake_worker, log_in):
    await page.clock.install()
    job_id = fake_worker.create_running()
    await open_page(page, job_id, log_in)
    await page.route("**/ready/", lambda route: route.fulfill(status=502))
    fake_worker.call(job_id, "complete")
    await expect(status_of(page)).to_contain_text("Taking you there…")
    await page.clock.run_for(1_000)
    await expect(status_of(page)).to_contain_text("The server does not answer. Trying again…")
    while "Trying again…" in await status_of(page).inner_text():
        await expect(page.get_by_role("button", name="Continue")).to_be_hidden()
        await page.clock.run_for(20_000)
    await expect(status_of(page)).to_contain_text("The server cannot be reached.")
    await page.unroute("**/ready/")
    await page.get_by_role("button", name="Continue").click()
    await page.wait_for_url("**/classrooms/1/")


async def test_f44_page_tries_again_by_itself_while_the_hook_takes_minutes(
    page, fake_worker, log_in, posts
):
    await page.clock.install()
    await page.route(
        "**/ready/", lambda route: route.fulfill(status=503, headers={"Retry-After": "2"})
    )
    job_id = fake_worker.create_running()
    await open_page(page, job_id, log_in)
    fake_worker.call(job_id, "complete")
    await expect(status_of(page)).to_contain_text("Almost there…")
    for _ in range(30):
        await page.clock.run_for(10_000)
        await expect(status_of(page)).to_contain_text("Almost there…")
    assert len(posts) > 10
    await page.unroute("**/ready/")
    await page.clock.run_for(15_000)
    await page.wait_for_url("**/classrooms/1/")


async def test_f45_page_waits_as_long_as_the_server_asks_for(page, fake_worker, log_in, posts):
    await page.clock.install()
    await page.route(
        "**/ready/", lambda route: route.fulfill(status=503, headers={"Retry-After": "20"})
    )
    job_id = fake_worker.create_running()
    await open_page(page, job_id, log_in)
    fake_worker.call(job_id, "complete")
    await expect(status_of(page)).to_contain_text("Almost there…")
    await page.unroute("**/ready/")
    await page.clock.run_for(19_000)
    assert posts == ["ready"]
    await page.clock.run_for(2_000)
    await page.wait_for_url("**/classrooms/1/")


async def test_f43_page_of_a_job_that_is_not_ready_after_all_waits_on(
    page, fake_worker, log_in, posts
):
    job_id = fake_worker.create_running()
    await open_page(page, job_id, log_in)
    frame = await (await page.request.get(page.url, headers={"Accept": "application/json"})).json()
    frame["job"]["version"] += 10**12  # newer than the end that the page hears of
    await page.route("**/ready/", lambda route: route.fulfill(status=409, json=frame))
    async with page.expect_response("**/ready/"):
        fake_worker.call(job_id, "complete")
    await expect(status_of(page)).to_have_text("Working")
    await expect(page.get_by_role("button", name="Continue")).to_be_hidden()
    await expect(page.locator("job-waiting")).to_have_attribute("data-connected", "socket")
    assert posts == ["ready"]


async def test_f53_a_signed_out_page_leads_to_the_login_and_back(page, fake_worker, log_in):
    job_id = fake_worker.create_running()
    await open_page(page, job_id, log_in)
    await page.context.clear_cookies(name="sessionid")
    fake_worker.call(job_id, "complete")  # which the page hears by its ticket
    await expect(status_of(page)).to_have_text(
        "Ready You've been signed out. Sign in to see the result."
    )
    await page.get_by_role("link", name="Sign in").click()
    await page.get_by_label("Username").fill("ada")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    await page.wait_for_url("**/classrooms/1/")


async def test_target_that_is_a_download_ends_the_waiting(page, fake_worker, log_in, posts):
    place = {"url": "/classrooms/1/import/sample.csv"}
    await page.route("**/ready/", lambda route: route.fulfill(json=place))
    job_id = fake_worker.create_running()
    await open_page(page, job_id, log_in)
    async with page.expect_download():
        fake_worker.call(job_id, "complete")
    await expect(status_of(page)).to_contain_text("Your download has started.", timeout=10_000)
    await expect(page.locator(".jobs-arc")).to_be_hidden()
    await expect(page.get_by_role("button", name="Continue")).to_be_hidden()
    await expect(page.get_by_role("link", name="Your jobs")).to_be_visible()
    async with page.expect_download():
        await page.get_by_role("link", name="See the result").click()
    assert posts == ["ready"]


async def test_a_page_looks_for_a_vanished_job_and_then_gives_up(page, fake_worker, log_in):
    looks = []

    async def refuse(socket):
        looks.append(socket)
        await socket.close(code=4404)

    await page.clock.install()
    await page.route_web_socket("**/ws/**", refuse)
    await log_in(page)
    await page.goto(f"/jobs/{fake_worker.create_running()}/")
    for seconds in (1, 2, 4, 8, 16):
        await expect(status_of(page)).not_to_contain_text("cannot be found")
        await page.clock.run_for(seconds * 1_000)
    await expect(status_of(page)).to_contain_text("cannot be found any more")
    await expect(status_of(page)).not_to_contain_text("Working")
    await expect(status_of(page)).not_to_contain_text("Reconnecting")
    await expect(page.locator(".jobs-waiting")).to_have_attribute(
        "data-state", "gone"
    )  # nothing turns any more
    await expect(page.get_by_role("button", name="Leave, and tell me")).to_be_hidden()
    await expect(page.get_by_role("link", name="Reload")).to_be_visible()
    await expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    assert len(looks) == 6


async def test_a_page_without_sockets_polls_and_is_ready_in_time(page, stack, fake_worker, log_in):
    job_id = fake_worker.create_running()
    await log_in(page)
    with NoWebSocketProxy(urlsplit(stack.base_url).port) as proxy:
        await page.goto(f"http://127.0.0.1:{proxy.port}/jobs/{job_id}/")
        await expect(page.locator(".jobs-waiting")).to_have_attribute("data-connected", "polling")
        fake_worker.call(job_id, "complete")
        await page.wait_for_url("**/classrooms/1/", timeout=(POLL_SECONDS + 1) * 1_000)


async def test_page_without_a_socket_polls_and_tries_none(page, fake_worker, log_in):
    async def without_socket(route):
        answer = await route.fetch()
        html = (await answer.text()).replace('data-socket="/ws/jobs/"', 'data-socket=""')
        await route.fulfill(response=answer, body=html)

    sockets = []
    page.on("websocket", lambda socket: sockets.append(socket))
    job_id = fake_worker.create_running()
    await page.route(f"**/jobs/{job_id}/", without_socket, times=1)
    await log_in(page)
    await page.goto(f"/jobs/{job_id}/")
    await expect(page.locator("job-waiting")).to_have_attribute("data-connected", "polling")
    await expect(page.locator("job-bell")).to_have_attribute("data-connected", "polling")
    assert sockets == []
    fake_worker.call(job_id, "complete")
    await page.wait_for_url("**/classrooms/1/")


async def test_lost_connection_is_told_and_made_good(page, fake_worker, log_in):
    sockets = []
    refused = [False]

    def pass_on(socket):
        sockets.append(socket)
        return None if refused[0] else socket.connect_to_server()

    await page.route_web_socket("**/ws/**", pass_on)
    await page.route(
        "**/jobs/*/", lambda route: route.abort() if refused[0] else route.continue_()
    )
    job_id = fake_worker.create_running()
    await open_page(page, job_id, log_in)
    refused[0] = True
    await sockets[0].close(code=1012)
    await expect(status_of(page)).to_contain_text("Reconnecting…")
    fake_worker.call(job_id, "complete")
    refused[0] = False
    await sockets[-1].close(code=1012)
    await page.wait_for_url("**/classrooms/1/")


async def test_without_script_continue_comes_back_until_the_job_has_ended(
    browser, stack, fake_worker, log_in
):
    job_id = fake_worker.create_running()
    async with await browser.new_context(
        base_url=stack.base_url, java_script_enabled=False
    ) as context:
        page = await context.new_page()
        await log_in(page)
        await page.goto(f"/jobs/{job_id}/")
        await expect(page.get_by_text("Without JavaScript")).to_be_visible()
        await page.get_by_role("button", name="Continue").click()
        await page.wait_for_url(f"**/jobs/{job_id}/")
        fake_worker.call(job_id, "complete")
        await page.get_by_role("button", name="Continue").click()
        await page.wait_for_url("**/classrooms/1/")
