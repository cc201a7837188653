"""The scripts of the documents run in a browser as printed; the five lines: test_list_page.py."""

import asyncio
import json
import re

import pytest

from tests.docs.documents import blocks
from tests.system.harness.fake_worker import FakeWorker

SHOWN_WITHIN = 10_000  # milliseconds


@pytest.fixture
def fake_worker(stack):
    """Return who does what a worker would."""
    with FakeWorker(stack) as fake_worker:
        yield fake_worker


async def test_the_loop_around_fetch_ends_with_the_job(page, fake_worker, log_in):
    (loop,) = blocks("docs/frontend.md", "js")
    await log_in(page, "grace")
    await page.goto("/jobs/")
    job_id = fake_worker.create_running("grace")
    asked = asyncio.ensure_future(
        page.wait_for_event("response", lambda answer: job_id in answer.url)
    )
    heard = asyncio.ensure_future(
        page.evaluate(f"() => {{ {loop.text}; return ended('/jobs/{job_id}/'); }}")
    )
    assert (await asked).status == 202
    fake_worker.call(job_id, "complete")
    assert (await heard)["state"] == "complete"


async def test_the_script_that_polls_by_hand_shows_progress_and_goes_on(browser):
    answers = iter([{"state": "PROGRESS", "current": 3, "total": 12}, {"state": "SUCCESS"}])
    shown = []
    (template,) = (block.text for block in blocks("docs/from-polling.md#Before", "html"))
    html = re.sub(r"\{% url [^%]*%\}", "/status/", template.partition("\n")[2])

    async def answer(route):
        path = route.request.url.partition("example.org")[2]
        if path == "/status/":
            shown.append(await page.evaluate("document.getElementById('bar').value"))
            await route.fulfill(body=json.dumps(next(answers)), content_type="application/json")
        else:
            await route.fulfill(
                body=html if path == "/" else "the reports", content_type="text/html"
            )

    async with await browser.new_context() as context:
        page = await context.new_page()
        await page.route("**/*", answer)
        await page.goto("http://example.org/")
        await page.wait_for_url("**/reports/", timeout=SHOWN_WITHIN)
    assert shown == [0, 3]
