"""What the waiting page says of time, and to those who do not look at it."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.system.harness.fake_worker import FakeWorker

from .test_waiting_page import HIDDEN_TAB, open_page, status_of

PRETEND_NOTIFICATIONS = """
    window.notices = JSON.parse(sessionStorage.notices ?? "[]");
    window.Notification = class {
        static requestPermission = async () => window.permission ?? "granted";
        constructor(title, {body}) {
            document.documentElement.dataset.noticed = "";
            notices.push(`${title}: ${body}`);
            sessionStorage.notices = JSON.stringify(notices);
        }
    };
"""


WATCH_THE_SPINNER = """
    sessionStorage.spinner ??= 0;
    (function look() {
        const mark = document.querySelector(".jobs-waiting[data-state$=ing] .jobs-mark");
        const seen = mark ? Number(getComputedStyle(mark).opacity) : 0;
        sessionStorage.spinner = Math.max(seen, Number(sessionStorage.spinner));
        requestAnimationFrame(look);
    })();
"""


@pytest.fixture(scope="module")
def fake_worker(stack):
    """Return the process that plays the worker."""
    with FakeWorker(stack) as fake_worker:
        yield fake_worker


@pytest_asyncio.fixture(loop_scope="session")
async def served(page, fake_worker, log_in):
    """Return a function that opens a running job's page whose server is the test."""

    async def serve(usual="- - - -", since=0, **job):
        sockets = []
        await page.route_web_socket("**/ws/**", lambda socket: sockets.append(socket))
        job_id = fake_worker.create_running()

        async def with_usual_times(route):
            answer = await route.fetch()
            await route.fulfill(
                response=answer,
                body=(await answer.text()).replace(
                    'data-usual="', f'data-usual="{usual}" data-x="'
                ),
            )

        await page.route(f"**/jobs/{job_id}/", with_usual_times)
        await log_in(page)
        await page.clock.install()
        await page.goto(f"/jobs/{job_id}/")
        now = int(await page.locator(".jobs-waiting").get_attribute("data-now")) / 1000
        began = datetime.fromtimestamp(now - since, UTC).isoformat()
        version = int(await page.locator(".jobs-waiting").get_attribute("data-version"))

        def tell(event="progress", n=1, **more):
            known = {
                "id": job_id,
                "state": "running",
                "version": version + n,
                "created_at": began,
                "started_at": began,
            }
            sockets[0].send(json.dumps({"event": event, "job": known | job | more}))

        tell()
        return tell, now

    return serve


def time_of(page):
    return page.locator("[data-part=time]")


async def test_it_tells_how_long_waiting_and_working_usually_take(page, served):
    await served("2.0 8.0 90.0 200.0", state="pending")
    await page.clock.run_for(1_500)
    await expect(time_of(page)).to_have_text(
        "Usually starts within 10 seconds. Usually takes about 2 minutes."
    )


async def test_nothing_is_said_of_time_when_nothing_is_known(page, served):
    await served(state="pending")
    await page.clock.run_for(5_000)
    await expect(time_of(page)).to_have_text("")


async def test_time_left_comes_from_the_rate_or_else_from_what_is_usual(page, served):
    tell, now = await served("1.0 2.0 30.0 60.0")
    await page.clock.run_for(1_500)
    await expect(time_of(page)).to_have_text("About 30 seconds left.")
    tell(n=2, eta_seconds=12)
    await page.clock.run_for(1_000)
    await expect(time_of(page)).to_contain_text("seconds left.")


async def test_longer_than_usual_is_said_once_it_is(page, served):
    await served("1.0 2.0 10.0 20.0", since=15)
    await page.clock.run_for(2_000)
    await expect(status_of(page)).not_to_contain_text("longer than usual")
    await page.clock.run_for(5_000)
    await expect(status_of(page)).to_contain_text("This takes longer than usual.")
    await expect(time_of(page)).to_have_text("")


async def test_the_next_attempt_is_counted_down(page, served):
    tell, now = await served()
    due = datetime.fromtimestamp(now, UTC) + timedelta(seconds=9)
    tell("retrying", 2, state="retrying", attempt=1, max_attempts=4, retry_at=due.isoformat())
    await page.clock.run_for(1_000)
    await expect(time_of(page)).to_contain_text("Attempt 2 of 4.")
    first = await time_of(page).inner_text()
    await page.clock.run_for(3_000)
    seconds = [
        int(text.split("Next attempt in ")[1].split()[0])
        for text in (first, await time_of(page).inner_text())
    ]
    assert seconds[0] - seconds[1] == 3 and 5 <= seconds[0] <= 9


async def test_time_left_never_comes_back_by_more_than_it_went_forward(page):
    await page.goto("/accounts/login/")
    shown = await page.evaluate("""async () => {
        const {Remaining} = await import("/static/jobs/waiting/pace.js");
        const remaining = new Remaining();
        return [60, 50, 90, NaN, 20, 70, Infinity, -5, undefined, 500]
            .map((seconds) => remaining.toward(seconds));
    }""")
    assert shown == [60, 50, 60, 60, 20, 60, 60, 0, 0, 60]


async def test_first_estimate_of_none_is_none(page):
    await page.goto("/accounts/login/")
    shown = await page.evaluate(
        "import('/static/jobs/waiting/pace.js').then(({Remaining}) => new Remaining().toward(NaN))"
    )
    assert shown is None


async def most_of_the_spinner(page, fake_worker, log_in, lasts):
    """Open a page whose job ends after `milliseconds`; return how much of its spinner showed."""
    job_id = fake_worker.create_running()
    await page.add_init_script(WATCH_THE_SPINNER)
    await page.add_init_script(f"setTimeout(() => window.isOver = true, {lasts})")
    sockets = []
    await page.route_web_socket(
        "**/ws/**", lambda socket: sockets.append(socket)
    )  # the test is the server
    await log_in(page)
    await page.goto(f"/jobs/{job_id}/")
    await page.wait_for_function("() => window.isOver")
    fake_worker.call(job_id, "complete")
    job = {"id": job_id, "state": "complete", "version": 1 << 52}
    sockets[0].send(json.dumps({"event": "ready", "job": job}))
    await page.wait_for_url("**/classrooms/1/")
    return float(await page.evaluate("sessionStorage.spinner"))


async def test_job_that_is_done_within_half_a_second_shows_no_spinner(page, fake_worker, log_in):
    assert await most_of_the_spinner(page, fake_worker, log_in, 200) == 0


async def test_job_that_takes_longer_shows_one(page, fake_worker, log_in):
    assert await most_of_the_spinner(page, fake_worker, log_in, 1_200) == 1


async def test_tab_in_the_background_has_an_icon_that_says_how_far(page, fake_worker, log_in):
    await page.add_init_script(HIDDEN_TAB)
    job_id = fake_worker.create_running()
    await open_page(page, job_id, log_in)
    icon = page.locator("link[rel=icon]")
    fake_worker.call(job_id, "set_progress", 3, 10, "")
    await expect(icon).to_have_attribute("href", re.compile(r"icon-25\.svg$"))
    fake_worker.call(job_id, "complete")
    await expect(icon).to_have_attribute("href", re.compile(r"icon-ready\.svg$"))


async def test_handler_may_go_on_in_a_hidden_tab(page, fake_worker, log_in):
    await page.add_init_script(HIDDEN_TAB)
    job_id = fake_worker.create_running()
    await open_page(page, job_id, log_in)
    await page.locator(".jobs-waiting").evaluate("(it) => { it.dataset.redirectHidden = '' }")
    fake_worker.call(job_id, "complete")
    await page.wait_for_url("**/classrooms/1/")


async def test_who_leaves_is_told_where_it_is_and_when_it_is_ready(page, fake_worker, log_in):
    await page.add_init_script(PRETEND_NOTIFICATIONS)
    job_id = fake_worker.create_running()
    await open_page(page, job_id, log_in)
    await page.get_by_role("button", name="Leave, and tell me").click()
    await expect(status_of(page)).to_contain_text(
        "we tell you as long as a page of this site is open"
    )
    await page.get_by_role("link", name="Your jobs", exact=True).click()
    await expect(page.locator("job-bell")).to_have_attribute("data-connected", "socket")
    fake_worker.call(job_id, "complete")
    await expect(page.locator("job-bell [aria-live]")).to_have_text("Moving the students: Ready")
    await expect(page.locator("html")).to_have_attribute("data-noticed", "")
    assert await page.evaluate("notices") == ["Moving the students: Ready"]


async def test_who_does_not_allow_notifications_is_told_where_the_job_is(
    page, fake_worker, log_in
):
    await page.add_init_script(
        PRETEND_NOTIFICATIONS + "window.permission = 'denied'; localStorage.clear();"
    )
    job_id = fake_worker.create_running()
    await open_page(page, job_id, log_in)
    await page.get_by_role("button", name="Leave, and tell me").click()
    await expect(status_of(page)).to_contain_text("you find it under Your jobs")
    await expect(page.get_by_role("link", name="Your jobs", exact=True)).to_be_focused()
    assert await page.evaluate("localStorage.getItem('jobs.tell')") is None


async def test_nobody_is_told_who_did_not_ask(page, fake_worker, log_in):
    await page.add_init_script(HIDDEN_TAB + ";" + PRETEND_NOTIFICATIONS)
    job_id = fake_worker.create_running()
    await open_page(page, job_id, log_in)
    fake_worker.call(job_id, "complete")
    await expect(page).to_have_title("Ready · Moving the students")
    assert await page.evaluate("notices") == []


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ("cancelled", "Cancelled"),
        ("expired", "Not started in time"),
        ("lost", "Stopped unexpectedly"),
    ],
)
async def test_every_end_has_its_word_and_a_way_on(page, fake_worker, log_in, state, word):
    job_id = fake_worker.create_running()
    await open_page(page, job_id, log_in)
    fake_worker.end(job_id, state)
    await expect(status_of(page)).to_contain_text(word)
    await expect(page.get_by_role("button", name="Continue")).to_be_visible()
    await expect(page.get_by_role("button", name="Leave, and tell me")).to_be_hidden()


async def test_failed_job_may_be_tried_again_where_its_handler_says_so(page, fake_worker, log_in):
    job_id = fake_worker.create_running()
    await open_page(page, job_id, log_in)
    again = page.get_by_role("link", name="Try again")
    await expect(again).to_be_hidden()
    fake_worker.call(job_id, "fail", "The school is closed.")
    await expect(again).to_have_attribute("href", "/classrooms/1/")
