"""Bring the waiting page into each of its situations; for axe and for screenshots."""

import time
from collections.abc import Callable

from playwright.async_api import Page, Route, expect

from .fake_worker import FakeWorker

ENDS = ["failed", "cancelled", "expired", "lost"]
FROM_THE_SERVER = [
    "pending",
    "running",
    "progress",
    "retrying",
    "cancelling",
    "complete",
    *ENDS,
    "stuck",
    "claimed",
]
ON_THE_PAGE = [
    "slow",
    "told",
    "reconnecting",
    "offline",
    "gone",
    "stale",
    "unreachable",
    "busy",
    "downloaded",
    "signed_out",
]
SITUATIONS = FROM_THE_SERVER + ON_THE_PAGE
USUAL = "2.0 8.0 90.0 200.0"  # seconds, as the archive would know them
LONG_AGO = "0.0 0.1 0.1 0.2"  # with which any job is slow, after the five seconds that no job is
ALLOWED = "window.Notification = class { static requestPermission = async () => 'granted' }"
FAR = ("set_progress", 126, 300, "Zoë Fletcher")
VERBS = {
    **dict.fromkeys(("progress", "offline", "reconnecting", "told"), FAR),
    **dict.fromkeys(
        (
            "complete",
            "claimed",
            "unreachable",
            "stale",
            "stuck",
            "busy",
            "downloaded",
            "signed_out",
        ),
        ("complete",),
    ),
    "retrying": ("retry", 45, 4),
    "cancelling": ("cancel",),
    "failed": ("fail", "The classroom was closed meanwhile. Reference: 7f3a9c"),
}
ANSWERS = {  # to the page that calls back
    "complete": {"status": 502},
    "stale": {"status": 403},
    "unreachable": {"status": 502},
    "busy": {"status": 503, "headers": {"Retry-After": "2"}},
    "downloaded": {"json": {"url": "/drills/report.csv"}},
    "signed_out": {"status": 404},
}
LATE = {
    "gone": "found",
    "unreachable": "reached",
}  # after minutes; and a word of what they say then
REPORT = {"body": "a,b", "headers": {"Content-Disposition": "attachment; filename=report.csv"}}
NOTE = "[data-part=note]"


def bring(fake_worker: FakeWorker, situation: str) -> str:
    """Make a job of Ada's in this situation, and return its id."""
    job_id = fake_worker.create("ada", "classroom:1")
    if situation != "pending":
        fake_worker.call(job_id, "start")
    if situation == "stuck":
        fake_worker.write(job_id, "classroom_id", "nowhere")
    if situation in ("progress", "offline", "reconnecting", "told"):
        time.sleep(1.5)  # so that there is a rate
    verb = VERBS.get(situation)
    if verb:
        fake_worker.call(job_id, *verb)
    elif situation in ENDS:
        fake_worker.end(
            job_id,
            situation,
            "The connection to the worker was lost." if situation == "lost" else "",
        )
    return job_id


def with_usual_times(usual: str) -> Callable[[Route], object]:
    """Pretend that the archive knows how long it usually takes."""

    async def fulfill(route: Route) -> None:
        answer = await route.fetch()
        html = (await answer.text()).replace('data-usual="', f'data-usual="{usual}" data-really="')
        await route.fulfill(response=answer, body=html)

    return fulfill


async def show(page: Page, fake_worker: FakeWorker, situation: str) -> str:
    """Open the waiting page of a job in this situation, let it settle, and return the job's id."""
    answer = ANSWERS.get(situation)
    if answer:
        await page.route("**/ready/", lambda route: route.fulfill(**answer))  # so that it stays
    job_id = bring(fake_worker, situation)
    if situation == "claimed":
        await page.goto(f"/jobs/{job_id}/")
        await page.wait_for_url("**/classrooms/1/")
    usual = with_usual_times(LONG_AGO if situation == "slow" else USUAL)
    await page.route(f"**/jobs/{job_id}/", usual)
    await prepare(page, situation)
    await page.goto(f"/jobs/{job_id}/")
    await page.unroute(f"**/jobs/{job_id}/", usual)
    await page.locator(".jobs-waiting[data-connected]").wait_for()
    await happen(page, situation)
    await page.wait_for_timeout(1_500)  # what comes after a second is to be seen too
    return job_id


async def refuse_json(route: Route) -> None:
    """Answer a script as the server answers a stranger."""
    is_json = route.request.headers["accept"] == "application/json"
    await (route.fulfill(status=404) if is_json else route.fallback())


async def prepare(page: Page, situation: str) -> None:
    """Arrange what the page will meet."""
    if situation in LATE:
        await page.clock.install()
    if situation == "gone":
        await page.route_web_socket("**/ws/**", lambda socket: socket.close(code=4404))
    elif situation == "reconnecting":
        await page.route_web_socket("**/ws/**", lambda socket: None)  # a server that says nothing
    elif situation == "told":
        await page.add_init_script(ALLOWED)
    elif situation == "signed_out":
        await page.route("**/jobs/*/", refuse_json)
    elif situation == "downloaded":
        await page.route("**/report.csv", lambda route: route.fulfill(**REPORT))


async def happen(page: Page, situation: str) -> None:
    """Let it happen, and wait until the page says so."""
    if situation == "told":
        await page.locator("[data-part=leave]").click()
        await expect(page.locator(NOTE)).not_to_be_empty()
    elif situation in LATE:
        while LATE[situation] not in await page.locator(NOTE).inner_text():
            await page.clock.run_for(5_000)
    elif situation == "offline":
        await page.context.set_offline(True)
    if situation in ("offline", "reconnecting"):
        await expect(page.locator("[data-part=link]")).not_to_be_empty(timeout=20_000)
    elif situation == "slow":
        await expect(page.locator("[data-part=pace]")).not_to_be_empty(timeout=10_000)
    elif situation in ("stale", "stuck", "busy", "downloaded", "signed_out"):
        await expect(page.locator("[data-part=reload], [data-part=ready]").first).to_be_attached()
        await expect(page.locator(NOTE)).not_to_have_text("Taking you there…", timeout=15_000)
