"""Where a person may be redirected."""

import pytest
from ada_url import URL
from django.contrib.auth.hashers import make_password
from django.urls import reverse, set_script_prefix
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from jobs.core.record import Record
from jobs.handlers import JobHandler
from jobs.job import Job
from jobs.states import JobState
from jobs.waiting.redirects import is_allowed, safe_url, same_page
from tests.factories import ANN, browser, ended_job, request_of, user

PAGE = "/jobs/parcel-1/"
HERE = "http://testserver"

PIECES = [
    *(
        "..",
        "../",
        "../../../",
        "./",
        "/",
        "//",
        "\\",
        "\\\\",
        "%2f",
        "%2e%2e/",
        "%5c",
        " ",
        "\t",
        "\n",
        "\r",
        "\x00",
    ),
    *(
        "javascript:",
        "JaVaScRiPt:",
        "data:text/html,",
        "http:",
        "https:",
        "http://",
        "https://",
        "blob:",
        "file:",
    ),
    *(
        "evil.example",
        "testserver",
        "pay.example",
        "user:pw@",
        "@",
        ":80",
        "?x=1",
        "#top",
        ";p",
        "jobs",
        "alert(1)",
    ),
    *(
        "\u2028",
        "\u3000",
        "\uff0f",
        "\u2215",
        "\uff0e\uff0e/",
        "\ud800",
        "é",
        "[",
        "]",
        "x" * 2100,
    ),
]
ADDRESSES = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=8).map("".join),
    st.text(max_size=30),
    st.text("./\\:@?#%ahtps", max_size=20).map("../../..".__add__),
)


def job(path=PAGE):
    return Job(Record("parcel-1", path=path))


def sent_to(url, path=PAGE, **headers):
    """Return where the owner of a job is sent if its handler returns this URL."""
    return safe_url(url, job(path), request_of(**headers))


def followed(place, page=HERE + PAGE):
    """Return the origin that a browser reaches when it follows the URL from a page."""
    return URL(place, page).origin


@pytest.fixture
def friend(settings):
    """Allow one other host."""
    settings.JOBS = settings.JOBS | {"ALLOWED_REDIRECT_HOSTS": ["pay.example"]}


@pytest.mark.usefixtures("friend")
@pytest.mark.parametrize("page", [HERE + PAGE, HERE + "/", HERE + "/a/b/c/d"])
@hypothesis_settings(max_examples=300, deadline=None)
@example("../../../javascript:alert(1)")
@example("../../../\\\\evil.example")
@example("../../https:evil.example")
@example("../../..//evil.example")
@example("/a/..//evil.example")
@given(url=ADDRESSES)
def test_h19_no_handler_s_url_leaves_the_host(page, url):
    place = sent_to(url)
    assert followed(place, page) in (HERE, "http://pay.example", "https://pay.example")
    assert sent_to(place) == place  # it is stored, and checked again when it is read


@pytest.mark.parametrize(
    "path", ["/", "/sub/jobs/parcel-1/", "/jobs", "/a;b/jobs/x", "/%2e%2e/", "/x\\y/"]
)
@given(url=ADDRESSES)
@hypothesis_settings(max_examples=100, deadline=None)
def test_h19_no_url_leaves_the_host_from_any_page(path, url):
    assert followed(sent_to(url, path)) in (HERE, HERE.replace("http:", "https:"))


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("../../../javascript:alert(1)", "/javascript:alert(1)"),
        ("../../../../../parcels/", "/parcels/"),
        ("../../https:evil.example", "/https:evil.example"),
        ("../../..//evil.example", "/evil.example"),
        ("../../../\\\\evil.example", "/jobs/"),
        ("../../../\\evil.example", "/jobs/"),
        ("../../parcels/?a=1#b", "/parcels/?a=1#b"),
        ("  ../../parcels/", "/parcels/"),
        ("  /parcels/ ", "/parcels/"),
        ("?x=1", "/jobs/parcel-1/?x=1"),
        ("#top", "/jobs/parcel-1/#top"),
        ("..", "/jobs/"),
        ("https:evil.example", "/jobs/"),
        ("/\t/evil.example", "/jobs/"),
        ("../../../" + "x" * 1990, "/" + "x" * 1990),
        ("x" * 1999, "/jobs/"),  # too long once it is joined
        ("//testserver/parcels/", "//testserver/parcels/"),
        ("//", "/jobs/"),
        ("/\\?x", "/jobs/"),
    ],
    ids=lambda text: repr(text)[:40],
)
def test_h19_a_relative_url_is_checked_after_joining(url, place):
    assert sent_to(url) == place


def test_h19_a_url_planted_in_redis_stays_on_this_host():
    planted = Job(Record("parcel-1", path=PAGE, claimed_url="../../../\\\\evil.example"))
    assert safe_url(planted.claimed_url, planted, request_of()) == "/jobs/"


def test_h19_a_climbing_url_below_a_sub_path_stays_on_this_host():
    assert (
        sent_to("../../../../javascript:alert(1)", "/sub/jobs/parcel-1/") == "/javascript:alert(1)"
    )


def test_a_relative_url_below_a_sub_path_starts_from_the_waiting_page():
    assert sent_to("../../parcels/", "/sub/jobs/parcel-1/") == "/sub/parcels/"


@pytest.mark.parametrize(
    "prefix", ["javascript:alert(1)//", "//evil.example", "http://evil.example", "\\\\evil"]
)
def test_h19_a_forged_script_prefix_stays_on_this_host(prefix):
    set_script_prefix(prefix)
    try:
        places = [sent_to("", path=""), sent_to("../x", path=""), job(path="").get_absolute_url()]
    finally:
        set_script_prefix("/")
    assert {followed(place) for place in places} == {HERE}


@pytest.mark.parametrize(
    "path", ["/parcels/?page=2", "//evil.example/x", "/%5Cevil.example", "/%09/evil.example"]
)
def test_h19_the_address_of_the_requested_page_is_on_this_host(path):
    request = request_of()
    request.path, _, query = path.partition("?")
    request.META["QUERY_STRING"] = query
    assert followed(same_page(request)) == HERE


def test_a_relative_url_from_a_secure_page_is_secure():
    assert sent_to("../../parcels/", secure=True) == "/parcels/"
    assert not is_allowed("http://testserver/", request_of(secure=True))


@pytest.mark.parametrize(
    "referrer",
    [
        "http://testserver/\x85x",
        "http://testserver\\@evil.example/",
        "//evil.example",
        "http:evil.example",
    ],
)
def test_h19_a_forged_referrer_is_not_followed(referrer):
    assert not is_allowed(referrer, request_of())


@pytest.mark.django_db
@pytest.mark.parametrize(
    "place",
    ["../../../javascript:alert(1)", "../../../\\\\evil.example", "../../https:evil.example"],
)
def test_h19_the_example_s_login_stays_on_this_host(place):
    user("ada", password=make_password("lovelace"))
    form = {"username": "ada", "password": "lovelace", "next": place}
    response = browser().post(reverse("login"), form)
    assert response.status_code == 302
    assert followed(response["Location"], HERE + reverse("login")) == HERE


@pytest.mark.usefixtures("database_file")
def test_h19_a_climbing_retry_url_stays_on_this_host():
    class Again(JobHandler):
        def retry_url(self, request):
            return "../../../javascript:alert(1)"

    failed = ended_job(JobState.FAILED, handler_class=Again)
    assert b'href="/javascript:alert(1)"' in browser(ANN).get(failed.get_absolute_url()).content
