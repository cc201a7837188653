"""Fixtures with real processes (`stack`, `own_stack`) and a real browser (`browser`, `page`).

Asynchronous tests of this folder share the session's event loop, because the browser lives in it.
"""

import os
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import async_playwright

from tests.system.harness.stack import LiveStack

from .halfopen import InBackground
from .harness import chromium
from .harness import firefox as firefox_browser

HERE = Path(__file__).parent
CHROMIUM = pytest.StashKey[str | None]()
FIREFOX = pytest.StashKey[str | None]()


# These tests kill real processes and measure seconds. A busy machine can make one late, so it is
# run again; the report shows that as "rerun". A bug in the code fails every time.
RERUNS = 2

# The slowest files start first, so that no process is left with one when the others have finished.
# The rest of this folder follows. The silences are last: by then their two minutes have passed.
# After this folder comes what keeps both cores busy, because a busy machine disturbs these tests.
SLOWEST = [
    "faults/test_cut_cable.py",
    "faults",
    "test_grown.py",
    "test_sites.py",
    "test_demo.py",
    "test_other_projects.py",
    "test_doctor.py",
    "test_chaos.py",
    "test_store_faults.py",
    "test_failover_faults.py",
]
LAST = "test_silence_faults.py"
BUSY = [HERE.parent / "interleaving", HERE.parent / "model"]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark the tests that need the session's loop or a browser; order the files at the end."""
    for item in items:
        if HERE not in item.path.parents:
            continue
        if pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
        item.add_marker(pytest.mark.flaky(reruns=RERUNS))
        for name in ("browser", "firefox"):
            if name in item.fixturenames:
                item.add_marker(name)
    result = yield  # pytest-django puts first what uses a database
    items.sort(key=lambda item: place_in_the_order(item.path))
    return result


def place_in_the_order(path):
    """Return a number that is smaller for a file that starts earlier."""
    if HERE not in path.parents:
        return 1_001 if any(folder in path.parents for folder in BUSY) else 1_002
    name = str(path.relative_to(HERE))
    if name == LAST:
        return 1_000
    found = (number for number, start in enumerate(SLOWEST) if name.startswith(start))
    return next(found, len(SLOWEST))


def pytest_collection_finish(session):
    """Find or install the browsers that are needed, before the first test starts its clock."""
    if session.config.option.collectonly:
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    say = reporter.write_line if reporter else print  # one of several processes has no terminal
    for name, key, kind in (
        ("browser", CHROMIUM, chromium),
        ("firefox", FIREFOX, firefox_browser),
    ):
        if any(item.get_closest_marker(name) for item in session.items):
            session.config.stash[key] = kind.find() or kind.install(say)


@pytest.fixture(scope="session")
def prepared_database(tmp_path_factory):
    """Return the path of a database with the sample data; the first stack creates it."""
    return tmp_path_factory.mktemp("prepared") / "db.sqlite3"


@pytest.fixture(scope="session")
def silences(tmp_path_factory):
    """Return the servers whose link to Redis is silent; one for all processes that run tests."""
    place = tmp_path_factory.getbasetemp()
    silences = InBackground(
        (place.parent if "PYTEST_XDIST_WORKER" in os.environ else place) / "silences"
    )
    yield silences
    silences.stop()


@pytest.fixture(scope="session", autouse=True)
def start_silences_early(request):
    """Start the silences with this folder's first test if they are needed: they take minutes."""
    if any("silences" in item.fixturenames for item in request.session.items):
        request.getfixturevalue("silences")


@pytest.fixture(scope="session")
def stack(prepared_database):
    """Return the project as real processes, shared by all tests that leave it as they found it."""
    with LiveStack(prepared_database) as stack:
        yield stack


@pytest.fixture
def own_stack(prepared_database):
    """Return the project as real processes for one test, which may break it."""
    with LiveStack(prepared_database) as stack:
        yield stack


@pytest.fixture
def ann(site):
    """Return the HTTP client of the visitor who owns the jobs of the `site`; it asks for JSON."""
    cookies = {"sessionid": site.shell.session("ann")}
    headers = {"Accept": "application/json"}
    with httpx.Client(
        base_url=site.base_url, cookies=cookies, headers=headers, trust_env=False, timeout=30
    ) as client:
        yield client


@pytest.fixture(autouse=True)
def show_what_processes_printed(request):
    """Add what the processes printed to the report of a failed test."""
    stacks = [
        request.getfixturevalue(name)
        for name in ("stack", "own_stack", "site")
        if name in request.fixturenames
    ]
    for stack in stacks:
        stack.printed.clear()
    yield
    for stack in stacks:
        request.node.add_report_section("call", "processes", "\n".join(stack.printed))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(pytestconfig):
    """Return a headless Chromium. Without one the test is skipped; in CI it fails."""
    path = pytestconfig.stash[CHROMIUM]
    if path is None:
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up(f"There is no Chromium, and none could be had: {chromium.ADVICE}")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=chromium.ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def firefox(pytestconfig):
    """Return Firefox. Without one the test is skipped; in CI it fails if apt could install it."""
    path = pytestconfig.stash[FIREFOX]
    if path is None:
        give_up = pytest.fail if os.environ.get("CI") and chromium.may_use_apt() else pytest.skip
        give_up(f"There is no Firefox, and none could be had: {firefox_browser.ADVICE}")
    async with firefox_browser.launch(path) as firefox:
        yield firefox


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser, stack):
    """Return a page in a fresh browser context, on which no script may fail."""
    errors = []
    context = await browser.new_context(base_url=stack.base_url)
    page = await context.new_page()
    page.on("pageerror", lambda error: errors.append(error))
    yield page
    await context.close()
    assert errors == []


@pytest.fixture
def log_in(stack):
    """Return a coroutine function that logs a page in as one of the sample users."""

    async def log_in(page, username="ada"):
        cookies = stack.logged_in_client(username).cookies
        await page.context.add_cookies(
            [
                {"name": name, "value": value, "url": stack.base_url}
                for name, value in cookies.items()
            ]
        )

    return log_in
