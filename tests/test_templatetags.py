"""The template tags that put live jobs into any page."""

import re

import pytest
from django.template import Context, Template
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.formats import date_format

from jobs.access import bearer_of, viewer_of
from jobs.exceptions import JobNotFound
from jobs.states import JobState
from jobs.templatetags.jobs import in_percent, moment
from jobs.waiting.page import waiting_context

from .factories import ANN, BOB, create_job, ended_job, request_of, started_job

pytestmark = pytest.mark.django_db


def render(text, session=ANN, **context):
    """Render a template that loads the tags, for a request of this session."""
    template = Template("{% load jobs %}" + text)
    return template.render(Context({"request": request_of(session), **context}))


def bearer_in(html):
    """Return the viewer that the ticket in a page makes."""
    return bearer_of(re.search(r'ticket="([^"]+)"', html)[1])


@pytest.mark.parametrize("tag", ["job_status", "job_progress"])
def test_an_element_has_a_ticket_for_its_own_job_only(tag):
    job, other = create_job(), create_job()
    viewer = bearer_in(render(f"{{% {tag} job %}}", job=job))
    assert viewer.may_see(job) and not viewer.may_see(other)


def test_a_status_can_be_read_before_its_script_runs():
    html = render("{% job_status job %}", job=ended_job(JobState.FAILED, "<b>Too heavy</b>"))
    assert "That did not work" in html and "&lt;b&gt;Too heavy&lt;/b&gt;" in html


def test_a_bar_without_a_total_has_no_value():
    job = started_job()
    html = render("{% job_progress job %}", job=job)
    assert " value=" not in re.search("<progress[^>]*>", html)[0]
    job.set_progress(1, 4, "a parcel")
    assert 'value="25"' in render("{% job_progress job %}", job=job)


def test_a_list_by_tag_has_a_ticket_for_the_tag():
    tagged, other = create_job(tags=["classroom:42"]), create_job()
    viewer = bearer_in(render('{% job_list tag="classroom:42" %}'))
    assert viewer.topics_for({"tag": "classroom:42"})
    assert not viewer.topics_for({"tag": "classroom:43"})
    assert viewer.may_see(tagged) and not viewer.may_see(other)


def test_my_own_list_and_bell_need_no_ticket():
    assert "ticket=" not in render("{% job_list %}{% job_bell %}")


def test_the_bell_is_a_link_without_javascript():
    assert '<a class="jobs-bell" href="/jobs/">' in render("{% job_bell %}")


def test_a_page_loads_script_and_styles_once():
    html = render("{% job_bell %}{% job_list %}{% job_status job %}", job=create_job())
    assert html.count("jobs/bundle/elements.js") == html.count("jobs/elements.css") == 1


class LazyNonce:
    """A nonce like Django 6's: false until a template has written it."""

    is_used = False

    def __bool__(self):
        return self.is_used

    def __str__(self):
        self.is_used = True
        return 'r4nd"m'


def nonces_of(html):
    """Return the nonce of each of our script and style tags; None for a tag without one."""
    tags = [
        tag
        for tag in re.findall(r"<(?:script|link rel=.stylesheet.)[^>]*>", html)
        if "/jobs/" in tag
    ]
    assert tags
    return [(re.search(r' nonce="([^"]*)"', tag) or [None, None])[1] for tag in tags]


TAGS = [
    "{% job_bell %}",
    "{% job_list %}",
    "{% job_status job %}",
    "{% job_progress job %}",
    "{% job_waiting job %}",
]


@pytest.mark.parametrize("tag", TAGS)
def test_every_tag_writes_the_nonce_of_django_csp(tag):
    request = request_of(ANN)
    request.csp_nonce = LazyNonce()
    html = Template("{% load jobs %}" + tag).render(
        Context({"request": request, "job": create_job()})
    )
    assert set(nonces_of(html)) == {"r4nd&quot;m"}


@pytest.mark.parametrize("tag", TAGS)
def test_every_tag_writes_the_nonce_of_django_6(monkeypatch, tag):
    monkeypatch.setattr("jobs.templatetags.jobs.get_nonce", lambda request: LazyNonce())
    assert set(nonces_of(render(tag, job=create_job()))) == {"r4nd&quot;m"}


@pytest.mark.parametrize("tag", TAGS)
def test_a_request_without_a_nonce_gets_none(tag):
    assert set(nonces_of(render(tag, job=create_job()))) == {None}


@pytest.mark.parametrize("template", ["waiting", "list", "unavailable"])
def test_every_page_writes_the_nonce(template):
    job, request = create_job(), request_of(ANN)
    request.csp_nonce = "r4nd0m"
    context = waiting_context(request, job, viewer_of(request))
    html = render_to_string(f"jobs/{template}.html", context, request)
    assert set(nonces_of(html)) == {"r4nd0m"}


@pytest.mark.parametrize("tag", TAGS)
def test_every_tag_names_the_socket_path(settings, tag):
    settings.JOBS = {**settings.JOBS, "SOCKET_PATH": ""}
    assert 'data-socket=""' in render(tag, job=create_job())
    settings.JOBS = {**settings.JOBS, "SOCKET_PATH": "wss://live.example.org/"}
    assert 'data-socket="wss://live.example.org/"' in render(tag, job=create_job())


def test_a_tag_puts_the_waiting_page_into_any_page():
    html = render("{% job_waiting job %}", job=create_job())
    assert 'class="jobs-card jobs-waiting"' in html
    assert "jobs/bundle/waiting.js" in html
    assert 'data-part="ready"' in html


def test_the_tag_shows_a_waiting_page_to_no_stranger():
    with pytest.raises(JobNotFound):
        render("{% job_waiting job %}", session=BOB, job=create_job())


def test_a_time_is_written_as_the_time_of_day_or_the_date(settings):
    settings.TIME_ZONE = "UTC"
    now = timezone.now()
    assert moment(now.isoformat()) == date_format(now, "TIME_FORMAT")
    assert moment("2026-01-31T10:20:30+00:00") == "Jan. 31, 2026"
    assert moment(None) == ""


def test_per_cents_follow_the_active_language():
    with translation.override("de"):
        assert in_percent(42) == "42\u00a0%"
    with translation.override("en"):
        assert in_percent(42) == "42%"


def test_pages_have_the_status_of_every_state_in_words():
    html = render_to_string("jobs/words.html", {"names": "states new"})
    words = dict(re.findall(r'data-word-(\w+)="([^"]+)"', html))
    assert words == {state.value: str(state.status) for state in JobState} | {"new": "{count} new"}


def test_words_are_escaped_once(monkeypatch):
    monkeypatch.setattr(JobState.LOST, "status", "Stopped & <gone>")
    assert (
        render_to_string("jobs/word.html", {"name": "lost"}).strip()
        == "Stopped &amp; &lt;gone&gt;"
    )
