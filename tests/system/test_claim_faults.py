"""The hook runs exactly once, however often it is asked for (F24 to F27; H1b, H3)."""

import asyncio
import time

import httpx
import pytest

from tests.system.harness.printing import say
from tests.system.harness.site import Site

LEASE = 2.0  # seconds


@pytest.fixture(scope="module")
def site(prepared_database):
    """Return a site that all tests here leave as they found it."""
    with Site(prepared_database, READY_LEASE=LEASE) as site:
        yield site


@pytest.fixture
def browser(site):
    """Return a function that makes browsers of one session; they ask for JSON by default."""
    opened = []

    def browser(session=None, accept="application/json"):
        session = session or site.shell.session("ann")
        options = {
            "cookies": {"sessionid": session},
            "headers": {"Accept": accept},
            "trust_env": False,
        }
        opened.append(httpx.Client(base_url=site.base_url, timeout=30, **options))
        return opened[-1]

    yield browser
    for client in opened:
        client.close()


def ended(site, state="complete", **data):
    """Make a job that has ended; return its id."""
    (job_id,) = site.shell.create(**data)
    site.shell.end([job_id], state)
    return job_id


def token(client, job_id):
    """Open the waiting page; return the token of its form."""
    client.get(f"/jobs/{job_id}/", headers={"Accept": "text/html"})
    return client.cookies["csrftoken"]


def press(client, job_id, verb="ready"):
    """Do what the page's script does; return the answer."""
    return client.post(f"/jobs/{job_id}/{verb}/", headers={"X-CSRFToken": token(client, job_id)})


async def test_f24_twenty_simultaneous_claims_run_the_hook_once_and_share_its_target(
    site, browser
):
    job_id = ended(site)
    ann = browser()
    csrf, cookies = token(ann, job_id), dict(ann.cookies)
    async with httpx.AsyncClient(base_url=site.base_url, timeout=30, trust_env=False) as client:
        headers = {
            "Accept": "application/json",
            "X-CSRFToken": csrf,
            "Cookie": "; ".join(map("=".join, cookies.items())),
        }
        answers = await asyncio.gather(
            *(client.post(f"/jobs/{job_id}/ready/", headers=headers) for _ in range(20))
        )
    assert [answer.json() for answer in answers] == [{"url": f"/done/{job_id}/"}] * 20
    assert site.shell.effects(job_id) == [f"{job_id} ready 1"]
    assert sum("messages" in answer.cookies for answer in answers) == 1


def test_f24_two_tabs_double_click_and_reload_run_the_hook_once(site, browser):
    job_id = ended(site)
    first = browser(accept="text/html")
    second = browser(session=first.cookies["sessionid"], accept="text/html")
    clicks = [(tab, token(tab, job_id)) for tab in (first, first, second)]
    answers = [
        tab.post(f"/jobs/{job_id}/ready/", headers={"X-CSRFToken": csrf}) for tab, csrf in clicks
    ]
    assert [answer.headers["Location"] for answer in answers] == [f"/done/{job_id}/"] * 3
    assert (
        "data-claimed" in second.get(f"/jobs/{job_id}/").text
    )  # Back: the page knows, and posts nothing
    assert site.shell.effects(job_id) == [f"{job_id} ready 1"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
def test_f24_only_a_post_runs_the_hook(site, browser, method):
    job_id = ended(site)
    ann = browser()
    csrf = token(ann, job_id)
    for purpose in ("prefetch", ""):
        answer = ann.request(
            method, f"/jobs/{job_id}/ready/", headers={"X-CSRFToken": csrf, "Purpose": purpose}
        )
        assert answer.status_code == (200 if method == "OPTIONS" else 405)
    assert ann.get(f"/jobs/{job_id}/", headers={"Sec-Purpose": "prefetch"}).status_code == 200
    assert site.shell.effects(job_id) == []


def test_f25_a_hook_that_raises_is_rolled_back_and_may_be_tried_again(site, browser, tmp_path):
    job_id = ended(site, raises_until=str(tmp_path / "mended"))
    ann = browser(accept="text/html")
    answer = press(ann, job_id)
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert 'href="/jobs/"' in answer.text  # a way out
    assert site.shell.effects(job_id) == []
    assert any(job_id in line and "CountingHandler" in line for line in site.printed)
    (tmp_path / "mended").touch()
    assert press(ann, job_id).headers["Location"] == f"/done/{job_id}/"
    assert site.shell.effects(job_id) == [f"{job_id} ready 1"]
    assert ann.get("/jobs/").text.count(f"ready: {job_id}") == 1


def test_f25_a_handler_that_was_renamed_since_leaves_a_way_out(site, browser):
    job_id = ended(site)
    site.shell.rename_handler(job_id, "os.system")
    ann = browser(accept="text/html")
    assert ann.get(f"/jobs/{job_id}/").status_code == 200
    answer = press(ann, job_id)
    assert answer.status_code == 500
    assert 'href="/jobs/"' in answer.text
    assert any(job_id in line and "os.system" in line for line in site.printed)
    site.shell.rename_handler(job_id, "tests.system.projects.countjobs.handlers.CountingHandler")
    assert press(ann, job_id).headers["Location"] == f"/done/{job_id}/"


def test_f25_next_url_that_raises_takes_the_hook_back(site, browser):
    job_id = ended(site, next={"raise": "at once"})
    assert press(browser(), job_id).status_code == 500
    assert site.shell.effects(job_id) == []


def test_f26_after_a_process_died_in_the_hook_it_runs_once_more(site, browser, tmp_path):
    job_id = ended(site, dies_once_at=str(tmp_path / "died"))
    ann = browser()
    csrf = token(ann, job_id)
    with pytest.raises(httpx.TransportError):
        ann.post(f"/jobs/{job_id}/ready/", headers={"X-CSRFToken": csrf})
    assert site.server.await_exit(5)
    site.start_server()
    site.await_server()
    assert site.shell.effects(job_id) == []
    started = time.monotonic()
    answer = ann.post(f"/jobs/{job_id}/ready/", headers={"X-CSRFToken": csrf})
    say(
        f"F26: answered {time.monotonic() - started:.1f} s after the restart, "
        f"with a lease of {LEASE} s"
    )
    assert answer.json() == {"url": f"/done/{job_id}/"}
    assert site.shell.effects(job_id) == [f"{job_id} ready 1"]


def test_f27_the_hook_is_not_run_before_the_end(site, browser):
    (job_id,) = site.shell.create()
    assert press(browser(), job_id).status_code == 409
    answer = press(browser(accept="text/html"), job_id)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/jobs/{job_id}/")
    assert site.shell.effects(job_id) == []


@pytest.mark.parametrize("state", ["failed", "cancelled", "expired", "lost"])
def test_f27_any_other_end_runs_on_failed_and_never_on_ready(site, browser, state):
    job_id = ended(site, state)
    assert press(browser(), job_id).json() == {"url": "/jobs/"}
    assert site.shell.effects(job_id) == [f"{job_id} {state} 1"]
    with pytest.raises(AssertionError, match="JobEnded"):
        site.shell.end([job_id])


def test_h01b_onlookers_never_run_the_hook_of_the_owner(site, browser):
    job_id = ended(site)
    site.shell.make_user("supervisor", staff=True, permissions=["view_job"])
    staff = browser(site.shell.session("", "supervisor"))
    stranger = browser(site.shell.session("bob"))
    stranger.headers["X-Job-Ticket"] = site.shell.ticket(job_id)
    for onlooker in (staff, stranger):
        page = onlooker.get(f"/jobs/{job_id}/", headers={"Accept": "text/html"})
        assert 'data-state="complete"' in page.text
        assert "/ready/" not in page.text
        csrf = {
            "X-CSRFToken": onlooker.get("/accounts/login/", follow_redirects=True)
            and onlooker.cookies.get("csrftoken", "")
        }
        assert onlooker.post(f"/jobs/{job_id}/ready/", headers=csrf).status_code == 403
    assert site.shell.effects(job_id) == []
    assert press(browser(), job_id).json() == {"url": f"/done/{job_id}/"}
    assert site.shell.effects(job_id) == [f"{job_id} ready 1"]
