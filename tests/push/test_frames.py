"""The wire's words: topics, groups, messages and frames."""

import json
from datetime import UTC, datetime

import pytest
from django.utils.functional import lazy
from django.utils.translation import gettext_lazy, override

from jobs import events
from jobs.core import clock, topics
from jobs.core.record import Record
from jobs.handlers import JobHandler, path_of
from jobs.job import Job
from jobs.push import envelope, frames, groups
from jobs.states import JobState
from tests.handlers import PostHandler

KEYS = {
    "id",
    "state",
    "version",
    "header",
    "message",
    "progress",
    "eta_seconds",
    "attempt",
    "max_attempts",
    "retry_at",
}
KEYS |= {"error", "url", "created_at", "started_at", "ended_at"}
NOON = 1_793_534_400_000_000  # 1 November 2026, 12:00 UTC, in microseconds


def job_of(handler=PostHandler, **values):
    return Job(
        Record("parcel-1", handler_class=path_of(handler), path="/jobs/parcel-1/", **values)
    )


def object_of(handler=PostHandler, **values):
    return frames.job_object(job_of(handler, **values))


def test_every_state_has_an_event_and_complete_has_ready():
    assert set(events.OF_STATE) == set(JobState)
    assert events.OF_STATE[JobState.COMPLETE] == "ready"
    assert sorted(events.OF_STATE.values()) == sorted(
        ["created", "started", "retrying", "ready", "failed", "cancelled", "expired", "lost"]
    )


def test_a_job_has_topics_for_itself_its_owner_and_its_tags():
    assert topics.topics_of("1", "user:7", ("a", "b")) == [
        "job:1",
        "owner:user:7",
        "tag:a",
        "tag:b",
    ]
    assert topics.topics_of("1", "", ()) == ["job:1"]


def test_a_topic_s_group_is_the_same_in_every_process_and_version():
    assert groups.group_of("job:1", 64) == "jobs.41"
    assert {groups.group_of(f"job:{n}", 4) for n in range(100)} == {f"jobs.{n}" for n in range(4)}


def test_owners_and_tags_have_groups_of_their_own():
    assert groups.group_of("owner:user:7", 1) == "jobs.owner.0"
    assert groups.group_of("tag:classroom:42", 1) == "jobs.tag.0"


@pytest.mark.parametrize("topic", ["tag:\ud800", "tag:😀", "tag:" + "x" * 200])
def test_any_topic_has_a_group_whose_name_channels_accepts(topic):
    assert groups.group_of(topic, 64).startswith("jobs.")


def test_a_frame_is_an_event_and_a_job():
    frame = json.loads(
        frames.frame("started", job_of(state=JobState.RUNNING, version=7, attempt=1))
    )
    assert frame["event"] == "started"
    assert {name: frame["job"][name] for name in ("id", "state", "version", "attempt")} == {
        "id": "parcel-1",
        "state": "running",
        "version": 7,
        "attempt": 1,
    }
    assert frame["job"]["url"] == "/jobs/parcel-1/"


def test_a_job_object_has_the_keys_of_the_protocol():
    assert set(object_of()) == KEYS | {"parcel"}


def test_the_job_s_data_is_not_in_a_frame_and_public_data_is():
    job = object_of(data={"parcel": '"books"', "secret": '"hunter2"'})
    assert job["parcel"] == "books"
    assert "hunter2" not in frames.encode(job)


def test_public_data_cannot_replace_a_core_key():
    job = object_of(state=JobState.RUNNING)
    assert (job["id"], job["state"]) == ("parcel-1", "running")


BROKEN = "tests.handlers.BrokenHandler"


@pytest.mark.parametrize(
    ("handler", "told"),
    [
        (BROKEN, [f"{BROKEN}.header failed", f"{BROKEN}.public_data failed"]),
        (
            "gone.Handler",
            [
                "the texts of its handler are left out",
                "No JobHandler 'gone.Handler' has been loaded.",
            ],
        ),
        (
            "os.system",
            [
                "the texts of its handler are left out",
                "No JobHandler 'os.system' has been loaded.",
            ],
        ),
    ],
)
def test_a_handler_that_fails_or_is_gone_leaves_a_plain_frame(caplog, handler, told):
    job = object_of(handler, state=JobState.RUNNING)
    assert (job["header"], job["message"], job["state"]) == ("", "", "running")
    assert set(job) == KEYS
    assert "job parcel-1: " in caplog.text and all(text in caplog.text for text in told)


def test_header_and_message_may_be_methods_of_the_job_s_data():
    assert object_of(PostHandler.Express, data={"name": '"Ann"'})["header"] == "Express for Ann"


def test_texts_are_in_the_language_of_the_job_not_the_reader():
    class Polyglot(JobHandler):
        header = gettext_lazy("Yes")

        def message(self):
            return str(gettext_lazy("No"))

        def public_data(self):
            return {"labels": [gettext_lazy("Yes")]}

    with override("fr"):
        text = frames.encode(object_of(Polyglot, language="de"))
    job = json.loads(text)
    assert (job["header"], job["message"], job["labels"]) == ("Ja", "Nein", ["Ja"])


@pytest.mark.parametrize(("name", "limit"), [("header", 200), ("message", 1000)])
def test_long_texts_of_a_handler_are_cut(name, limit):
    handler = type("Talkative", (JobHandler,), {name: "x" * 100_000})
    text = object_of(handler)[name]
    assert len(text) == limit and text.endswith("x…")


def test_long_texts_of_a_task_are_cut():
    job = object_of(error="e" * 100_000, note="n" * 100_000)
    assert (len(job["error"]), len(job["progress"]["message"])) == (2000, 200)
    assert object_of(error="e" * 2000)["error"] == "e" * 2000


def test_times_are_iso_8601_in_utc_with_microseconds():
    assert clock.iso(NOON) == "2026-11-01T12:00:00.000000+00:00"
    assert clock.iso(NOON + 1) == "2026-11-01T12:00:00.000001+00:00"
    assert clock.iso(0) is None
    assert clock.to_datetime(NOON) == datetime(2026, 11, 1, 12, tzinfo=UTC)


def test_retry_at_is_set_only_while_the_job_is_retrying():
    assert object_of(state=JobState.RETRYING, retry_at=NOON)["retry_at"] == clock.iso(NOON)
    assert object_of(state=JobState.RUNNING, retry_at=NOON)["retry_at"] is None


def test_a_placeholder_is_as_long_as_the_real_version_or_time():
    assert len(str(clock.VERSION_TO_COME)) == len(str(NOON))
    assert len(clock.TIME_TO_COME) == len(clock.iso(NOON)) == 32
    assert clock.iso(clock.VERSION_TO_COME) == clock.TIME_TO_COME


def test_a_stamp_fills_in_version_and_time_and_nothing_else():
    future = job_of(
        version=clock.VERSION_TO_COME,
        ended_at=clock.VERSION_TO_COME,
        error=f"{clock.VERSION_TO_COME} {clock.TIME_TO_COME}",
    )
    message = envelope.message_of(frames.frame("failed", future), ["job:parcel-1"], "parcel-1")
    stamped = envelope.stamp(message, NOON, clock.iso(NOON))
    job = json.loads(stamped["frame"])["job"]
    assert (stamped["version"], job["version"], job["ended_at"]) == (
        str(NOON),
        NOON,
        clock.iso(NOON),
    )
    assert job["error"] == f"{clock.VERSION_TO_COME} {clock.TIME_TO_COME}"


def test_a_frame_is_ascii_and_holds_any_text():
    text = frames.frame("failed", job_of(error="\u202e<script>\x00 😀"))
    assert text.isascii()
    assert json.loads(text)["job"]["error"] == "\u202e<script>\x00 😀"


def test_a_lone_surrogate_never_reaches_a_browser():
    text = frames.frame("failed", job_of(error="half \ud83d", note="\udcff"))
    json.loads(text)["job"]["error"].encode()


@pytest.mark.parametrize("number", [0, 7, 0.1, 1e-7, 12345678901234, 3.0])
def test_numbers_reach_the_browser_as_they_are(number):
    progress = object_of(state=JobState.RUNNING, current=number, total=number or None)["progress"]
    assert (progress["current"], progress["total"]) == (number, number or None)


def test_every_text_of_a_job_is_escaped_in_its_frame():
    awkward = '"},{\\"\n\t</script>\x00 é 😀'
    handler = type("Awkward", (JobHandler,), {"header": awkward, "message": awkward})
    job = json.loads(frames.frame("failed", job_of(handler, error=awkward, note=awkward)))["job"]
    assert [job["header"], job["message"], job["error"], job["progress"]["message"]] == [
        awkward
    ] * 4


def test_a_translated_text_belongs_to_its_handler_and_language():
    first = type("First", (JobHandler,), {"header": gettext_lazy("Yes")})
    second = type("Second", (JobHandler,), {"header": gettext_lazy("No")})
    for _ in range(2):
        said = [
            object_of(handler, language=code)["header"]
            for handler in (first, second)
            for code in ("de", "fr")
        ]
        assert said == ["Ja", "Oui", "Nein", "Non"]


def test_a_text_set_by_a_handler_instance_is_not_shared():
    class Personal(JobHandler):
        header = "Everybody's"

        def __init__(self, job):
            super().__init__(job)
            self.header = f"That of {job.id}"

    assert object_of(Personal)["header"] == "That of parcel-1"


def test_a_lazy_text_that_is_no_translation_is_evaluated_each_time():
    numbers = iter("12")
    handler = type("Counting", (JobHandler,), {"header": lazy(lambda: next(numbers), str)()})
    assert [object_of(handler)["header"] for _ in range(2)] == ["1", "2"]
