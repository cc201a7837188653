"""Make pictures of every state, light and dark: `python -m tests.system.screenshots`.

It starts the project with a database and a Redis of its own, and ends them again.
"""

import argparse
import asyncio
import tempfile
from itertools import product
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

from .harness import chromium
from .harness.fake_worker import FakeWorker
from .harness.page_situations import SITUATIONS, show
from .harness.stack import LiveStack

SIZES = {"phone": {"width": 390, "height": 720}, "desktop": {"width": 1100, "height": 720}}
SCHEMES = ["light", "dark"]
PAGES = {"home": "/", "drills": "/drills/", "watch": "/classrooms/1/watch/", "list": "/jobs/"}
PAGES_AT_ONCE = 4  # pages; most of the time they wait


async def open_page(
    browser: Browser, stack: LiveStack, size: str, scheme: str, language: str = "en"
) -> Page:
    """Return a page of Ada's."""
    context = await browser.new_context(
        base_url=stack.base_url,
        viewport=SIZES[size],
        color_scheme=scheme,
        locale=language,
        reduced_motion="reduce",
    )
    cookies = stack.logged_in_client("ada").cookies
    await context.add_cookies(
        [{"name": n, "value": v, "url": stack.base_url} for n, v in cookies.items()]
    )
    return await context.new_page()


async def close(page: Page) -> None:
    """Close a page, whatever it is still asking for."""
    await page.unroute_all(behavior="ignoreErrors")
    await page.context.close()


class Album:
    """Takes the pictures, some at once."""

    def __init__(
        self,
        browser: Browser,
        stack: LiveStack,
        fake_worker: FakeWorker,
        out: Path,
        situations: list[str],
    ):
        self.browser, self.stack, self.fake_worker, self.out = browser, stack, fake_worker, out
        self.situations = situations
        self.room = asyncio.Semaphore(PAGES_AT_ONCE)

    async def take_all(self) -> None:
        """Take every situation and page, light and dark, phone and desktop; and two languages."""
        situations = [
            self.take(size, scheme, state, "en")
            for size, scheme, state in product(SIZES, SCHEMES, self.situations)
        ]
        foreign = [
            self.take("phone", "light", state, code)
            for code in ("de", "ar")
            for state in self.situations
        ]
        await asyncio.gather(*situations, *foreign)
        elsewhere = product(SIZES, SCHEMES, ("en", "ar"))
        await asyncio.gather(
            *(self.take_pages(size, scheme, language) for size, scheme, language in elsewhere)
        )

    async def take(self, size: str, scheme: str, situation: str, language: str) -> None:
        """Take a situation of the waiting page."""
        async with self.room:
            page = await open_page(self.browser, self.stack, size, scheme, language)
            await show(page, self.fake_worker, situation)
            await self.keep(page, situation, language, scheme, size)
            await close(page)

    async def take_pages(self, size: str, scheme: str, language: str) -> None:
        """Take the other pages, and the open bell."""
        async with self.room:
            page = await open_page(self.browser, self.stack, size, scheme, language)
            for name, path in PAGES.items():
                await page.goto(path)
                await page.locator("job-bell[data-connected=socket]").wait_for()
                await self.keep(page, name, language, scheme, size)
            await page.goto("/dashboard/")
            await page.locator("job-bell[data-connected=socket] > button").click()
            await page.locator("job-bell li").first.wait_for()
            await self.keep(page, "bell", language, scheme, size)
            await close(page)

    async def keep(self, page: Page, name: str, language: str, scheme: str, size: str) -> None:
        """Write a picture down."""
        await page.screenshot(path=self.out / f"{name}-{language}-{scheme}-{size}.png")


async def main(out: Path, situations: list[str]) -> None:
    """Start everything, take the pictures, and stop everything."""
    out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        LiveStack(Path(folder) / "db.sqlite3") as stack,
        FakeWorker(stack) as fake_worker,
    ):
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=chromium.find(), args=chromium.ARGUMENTS
            )
            await Album(browser, stack, fake_worker, out, situations).take_all()
            await browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path("build/screenshots"), help="folder for the PNG files"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        choices=SITUATIONS,
        default=SITUATIONS,
        help="situations, instead of all",
    )
    options = parser.parse_args()
    asyncio.run(main(options.out, options.only))
