"""What a real browser makes of hostile frames, scripts and sites (FAULTS.md H11, H17, H18)."""

import asyncio
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from playwright.async_api import expect

from tests.system.harness.site import Site

NASTY = "<script>window.harmed = 1</script><img src=x onerror='window.harmed = 1'>\u202eevil"
POLLUTION = {
    "__proto__": {"harmed": 1},
    "constructor": {"prototype": {"harmed": 1}},
    "toString": "harmed",
}
INLINE = """
const script = document.createElement("script");
script.textContent = "window.harmed = 1";
document.body.append(script);
document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.harmed = 1'>");
"""


@pytest.fixture(scope="module")
def site(prepared_database):
    with Site(prepared_database, RECONCILE_SECONDS=2) as site:
        yield site


@asynccontextmanager
async def waiting_page(browser, site, job_id):
    """Open the waiting page as Ann, and wait until it listens."""
    context = await browser.new_context(base_url=site.base_url)
    await context.add_cookies(
        [{"name": "sessionid", "value": site.shell.session("ann"), "url": site.base_url}]
    )
    page = await context.new_page()
    try:
        await page.goto(f"/jobs/{job_id}/")
        await expect(page.locator(".jobs-waiting")).to_have_attribute("data-connected", "socket")
        yield page
    finally:
        await context.close()


async def test_h11_nasty_texts_that_come_by_frame_are_text(site, browser):
    (job_id,) = site.shell.create()
    async with waiting_page(browser, site, job_id) as page:
        await asyncio.to_thread(site.shell.call, job_id, "set_progress", 1, 2, NASTY)
        await expect(page.get_by_text("window.harmed").first).to_be_visible()
        assert await page.evaluate("window.harmed") is None
        await asyncio.to_thread(site.shell.call, job_id, "fail", NASTY)
        await expect(page.locator(".jobs-waiting")).to_have_attribute("data-state", "failed")
        assert await page.evaluate("window.harmed") is None


async def test_h17_names_in_a_frame_change_no_object_of_the_page(site, browser):
    (job_id,) = site.shell.create(public=POLLUTION, next="/jobs/")
    async with waiting_page(browser, site, job_id) as page:
        await asyncio.to_thread(
            site.shell.call, job_id, "set_progress", 1, 2, "pollution on its way"
        )
        await expect(page.get_by_text("pollution on its way").first).to_be_visible()
        assert (
            await page.evaluate("[({}).harmed, Object.prototype.harmed, ''.harmed]") == [None] * 3
        )
        await asyncio.to_thread(site.shell.end, [job_id])
        await page.wait_for_url("**/jobs/")


async def test_h18_an_injected_inline_script_does_not_run_or_stop_the_page(site, browser):
    (job_id,) = site.shell.create(next="/jobs/")
    async with waiting_page(browser, site, job_id) as page:
        refusals = []
        page.on("console", lambda message: refusals.append(message.text))
        await page.evaluate(INLINE)
        while sum("Content Security Policy" in text for text in refusals) < 2:
            await page.wait_for_event("console")
        assert await page.evaluate("window.harmed") is None
        await asyncio.to_thread(site.shell.end, [job_id])
        await page.wait_for_url("**/jobs/")


class Framer(BaseHTTPRequestHandler):
    """Another site, whose page holds ours in a frame."""

    target = ""

    def do_GET(self):  # noqa: N802 - the library's name
        """Answer every path with the page."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f'<iframe src="{self.target}"></iframe>'.encode())

    def log_message(self, *_):
        """Be quiet."""


async def test_h18_another_site_cannot_frame_the_page(site, browser):
    (job_id,) = site.shell.create()
    Framer.target = f"{site.base_url}/jobs/{job_id}/"
    with ThreadingHTTPServer(("127.0.0.1", 0), Framer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        async with waiting_page(browser, site, job_id) as page:
            async with page.expect_event("requestfailed") as refused:
                await page.goto(f"http://127.0.0.1:{server.server_address[1]}/")
            request = await refused.value
            assert (request.url, request.failure) == (
                Framer.target,
                "net::ERR_BLOCKED_BY_RESPONSE",
            )
            assert await page.frames[1].locator(".jobs-waiting").count() == 0
        server.shutdown()
