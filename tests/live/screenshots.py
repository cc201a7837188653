"""Make pictures of every state, light and dark, on a phone and on a desktop: `python -m tests.live.screenshots`.

It starts the project with a database and a Redis of its own, and ends them again.
"""

import argparse
import asyncio
import tempfile
import time
from itertools import product
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

from . import browser as chromium
from .backstage import Backstage
from .stack import LiveStack

SIZES = {"phone": {"width": 390, "height": 720}, "desktop": {"width": 1100, "height": 720}}
SCHEMES = ["light", "dark"]
ENDS = ["failed", "cancelled", "expired", "lost"]
STATES = ["pending", "running", "progress", "retrying", "cancelling", "complete", *ENDS, "offline", "gone", "stuck"]
USUAL = "2.0 8.0 90.0 200.0"
SPEAK = "([part, word]) => { const root = document.querySelector('.jobs-waiting');"
SPEAK += " root.querySelector(`[data-part=${part}]`).textContent = root.getAttribute(`data-word-${word}`).trim() }"


def bring(backstage: Backstage, state: str) -> str:
    """Make a job in this state, and return its id."""
    job_id = backstage.create("ada", "classroom:1")
    if state != "pending":
        backstage.call(job_id, "start")
    if state in ("progress", "offline"):
        time.sleep(1.5)  # so that there is a rate
        backstage.call(job_id, "set_progress", 126, 300, "Zoë Fletcher")
    elif state == "retrying":
        backstage.call(job_id, "retry", 45, 4)
    elif state == "cancelling":
        backstage.call(job_id, "cancel")
    elif state == "failed":
        backstage.call(job_id, "fail", "The classroom was closed meanwhile. Reference: 7f3a9c")
    elif state in ("complete", *ENDS):
        backstage.end(job_id, state)
    elif state == "stuck":
        backstage.write(job_id, "classroom_id", "nowhere")
        backstage.call(job_id, "complete")
    return job_id


async def with_usual_times(route) -> None:
    """Pretend that the archive knows how long it usually takes."""
    answer = await route.fetch()
    html = (await answer.text()).replace('data-usual="', f'data-usual="{USUAL}" data-really="')
    await route.fulfill(response=answer, body=html)


async def show(page: Page, backstage: Backstage, state: str) -> None:
    """Open the waiting page of a job in this state, and wait until it has said all."""
    if state == "complete":
        await page.route("**/ready/", lambda route: route.fulfill(status=502))  # so that it stays
    job_id = bring(backstage, state)
    await page.route(f"**/jobs/{job_id}/", with_usual_times)
    await page.goto(f"/jobs/{job_id}/")
    await page.locator(".jobs-waiting[data-connected]").wait_for()
    await page.wait_for_timeout(2_200)  # what comes after a second is to be seen too
    if state in ("offline", "gone"):
        await page.evaluate(SPEAK, ["link" if state == "offline" else "note", state])


async def open_page(browser: Browser, stack: LiveStack, size: str, scheme: str, language: str = "en") -> Page:
    """Return a page of Ada's."""
    context = await browser.new_context(
        base_url=stack.base_url, viewport=SIZES[size], color_scheme=scheme, locale=language, reduced_motion="reduce"
    )
    cookies = stack.logged_in_client("ada").cookies
    await context.add_cookies([{"name": n, "value": v, "url": stack.base_url} for n, v in cookies.items()])
    return await context.new_page()


async def close(page: Page) -> None:
    """Close a page, whatever it is still asking for."""
    await page.unroute_all(behavior="ignoreErrors")
    await page.context.close()


async def take(browser: Browser, stack: LiveStack, backstage: Backstage, out: Path) -> None:
    """Take them all."""
    for size, scheme in product(SIZES, SCHEMES):
        for state in STATES:
            page = await open_page(browser, stack, size, scheme)
            await show(page, backstage, state)
            await page.screenshot(path=out / f"{state}-{scheme}-{size}.png")
            await close(page)
        page = await open_page(browser, stack, size, scheme)
        await page.goto("/dashboard/")
        await page.locator("job-bell[data-connected=socket] > button").click()
        await page.locator("job-bell li").first.wait_for()
        await page.screenshot(path=out / f"bell-{scheme}-{size}.png")
        await page.goto("/jobs/")
        await page.screenshot(path=out / f"list-{scheme}-{size}.png")
        await page.context.close()
    for language in ("de", "ar"):
        page = await open_page(browser, stack, "phone", "light", language)
        await show(page, backstage, "progress")
        await page.screenshot(path=out / f"progress-{language}-phone.png")
        await close(page)


async def main(out: Path) -> None:
    """Start everything, take the pictures, and stop everything."""
    out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        LiveStack(Path(folder) / "db.sqlite3") as stack,
        Backstage(stack) as backstage,
    ):
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium.find(), args=chromium.ARGUMENTS)
            await take(browser, stack, backstage, out)
            await browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/screenshots"), help="folder for the PNG files")
    asyncio.run(main(parser.parse_args().out))
