"""Creating jobs, and finding them again."""

import asyncio
import logging

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser, User
from django.utils.translation import gettext_lazy, override

from jobs import signals
from jobs.exceptions import (
    HandlerNotFound,
    JobExists,
    JobNotFound,
    StoreUnavailable,
    UnserializableData,
)
from jobs.handlers import JobHandler
from jobs.models import JobRecord
from jobs.repository import JobRepository, is_id, owner_name
from jobs.states import JobState
from jobs.store import reader, records

from .factories import (
    NOWHERE,
    OWNER,
    at_once,
    commands,
    create_job,
    ended_job,
    eventually,
    hash_of,
    plant,
    started_job,
)
from .factories import user as create_user
from .handlers import PostHandler

pytestmark = pytest.mark.usefixtures("database_file")

repository = JobRepository()


def nested(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return value


# Creating


def test_a_new_job_keeps_every_value_it_was_given():
    user = create_user()
    job = repository.create(
        id="parcel-1",
        handler_class=PostHandler,
        owner=user,
        tags=["post"],
        data={"weight": 3},
        parcel="books",
    )
    known = repository.find("parcel-1")
    assert (known.id, known.state, known.owner, known.tags) == (
        "parcel-1",
        "pending",
        f"user:{user.pk}",
        ("post",),
    )
    assert known.data == job.data == {"weight": 3, "parcel": "books"}
    assert known.handler_class == "tests.handlers.PostHandler" and isinstance(
        known.handler, PostHandler
    )
    assert known.version == job.version and known.created_at == job.created_at


def test_a_job_without_an_id_gets_a_new_one():
    ids = {repository.create().id for _ in range(3)}
    assert len(ids) == 3 and all(map(is_id, ids))


def test_the_default_handler_is_the_plain_one():
    assert type(repository.create().handler) is JobHandler


def test_a_keyword_is_data_and_wins_over_the_dictionary():
    assert repository.create(data={"parcel": "books"}, parcel="toys").data == {"parcel": "toys"}


def test_a_job_remembers_its_language_and_its_page_s_address():
    with override("de"):
        job = repository.create()
    assert (job.language, job.get_absolute_url()) == ("de", f"/jobs/{job.id}/")


def test_a_project_without_our_routes_can_create_jobs(settings):
    settings.ROOT_URLCONF = "project.classrooms.urls"
    assert repository.find(repository.create().id).record.path == ""


def test_an_id_is_used_once(redis_client):
    create_job(id="parcel-1", parcel="books")
    before = hash_of(redis_client, "parcel-1")
    with pytest.raises(JobExists, match="already a job 'parcel-1'"):
        create_job(id="parcel-1", parcel="toys", owner="visitor:bob")
    assert hash_of(redis_client, "parcel-1") == before
    assert repository.for_owner("visitor:bob") == []


def test_an_archived_id_is_not_used_again(redis_client):
    ended_job(id="parcel-1")
    redis_client.flushall()
    with pytest.raises(JobExists, match="parcel-1"):
        create_job(id="parcel-1")
    assert redis_client.dbsize() == 0


def test_of_many_simultaneous_creations_of_a_job_one_succeeds():
    results = at_once([lambda n=n: create_job(id="parcel-1", n=n) for n in range(8)])
    made = [result for result in results if not isinstance(result, JobExists)]
    assert len(made) == 1 and repository.find("parcel-1").data == made[0].data


@pytest.mark.parametrize(
    ("values", "error", "named"),
    [
        ({"handler_class": "os.system"}, HandlerNotFound, "os.system"),
        ({"handler_class": "shop.handlers.Gone"}, HandlerNotFound, "shop.handlers.Gone"),
        ({"handler_class": dict}, HandlerNotFound, "dict"),
        ({"parcel": float("nan")}, UnserializableData, "parcel"),
        ({"parcel": (1, 2)}, UnserializableData, "parcel"),
        ({"parcel": gettext_lazy("Yes")}, UnserializableData, "parcel"),
        ({"parcel": nested(101)}, UnserializableData, "parcel"),
        ({"parcel": "x" * 300_000}, UnserializableData, "262144 bytes"),
        ({"data": {1: 2}}, UnserializableData, "keys are strings"),
        ({"id": ""}, ValueError, "''"),
        ({"id": "a b"}, ValueError, "a b"),
        ({"id": "x" * 129}, ValueError, "1 to 128"),
        ({"id": 7}, ValueError, "7"),
        ({"tags": [""]}, ValueError, "tag"),
        ({"tags": ["x" * 201]}, ValueError, "200"),
        ({"tags": ["a\nb"]}, ValueError, "printable"),
        ({"tags": [7]}, ValueError, "7"),
        ({"owner": "ann"}, ValueError, "cannot own a job"),
        ({"owner": "user:"}, ValueError, "cannot own a job"),
        ({"owner": 7}, ValueError, "7 cannot own a job"),
        ({"owner": User(username="not saved")}, ValueError, "saved user"),
        ({"handler_class": None}, HandlerNotFound, "None"),
        ({"handler_class": 7}, HandlerNotFound, "7"),
    ],
)
def test_an_invalid_job_is_refused_and_nothing_is_written(redis_client, values, error, named):
    with pytest.raises(error, match=named):
        create_job(**values)
    assert redis_client.dbsize() == 0
    assert not JobRecord.objects.exists()


def test_a_text_as_tags_is_refused_not_split_into_letters():
    with pytest.raises((ValueError, TypeError)):
        create_job(tags="classroom:42")


def test_a_lone_surrogate_nul_and_emoji_are_kept():
    job = create_job(parcel="\ud800 \x00 😀", data={"\ud800\x00": 1})
    assert repository.find(job.id).data == {"parcel": "\ud800 \x00 😀", "\ud800\x00": 1}


def test_create_without_the_store_is_an_error(settings):
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    with pytest.raises(StoreUnavailable):
        create_job()


def test_a_job_with_an_id_is_created_in_two_round_trips(redis_client):
    create_job()
    assert commands(redis_client, lambda: create_job(tags=["a"]))[0] == "EVALSHA"


async def test_a_job_is_created_and_found_from_asynchronous_code():
    job = await repository.acreate("parcel-1", owner=OWNER, parcel="books")
    known = await repository.afind("parcel-1")
    assert (known.id, known.data, known.version) == ("parcel-1", {"parcel": "books"}, job.version)
    await reader.async_reader().close()


# Ids


@pytest.mark.parametrize("text", ["a", "x" * 128, "A-Z_0.9:z", "7", "..", "a.b"])
def test_valid_ids_are_accepted(text):
    assert is_id(text)


STRANGE_IDS = [
    "",
    "x" * 129,
    "x" * 5000,
    "a/b",
    "a b",
    "a\n",
    "\x00",
    "%00",
    "{}",
    "*",
    "ü",
    "a\r\nb",
    "[a]",
    "'",
    None,
]


@pytest.mark.parametrize("text", STRANGE_IDS)
def test_an_invalid_id_is_not_found_without_asking_redis(redis_client, text):
    assert not is_id(text)

    def look():
        with pytest.raises(JobNotFound):
            repository.find(text)

    assert commands(redis_client, look) == []


async def test_an_invalid_id_is_not_found_from_asynchronous_code():
    with pytest.raises(JobNotFound):
        await repository.afind("a/b")


# Finding


def test_an_unknown_job_is_not_found():
    with pytest.raises(JobNotFound, match="'nobody'"):
        repository.find("nobody")


def test_an_ended_job_is_found_after_redis_was_emptied(redis_client):
    job = ended_job(JobState.FAILED, "too heavy", parcel="books", tags=["post"])
    redis_client.flushall()
    known = repository.find(job.id)
    assert (known.state, known.error, known.data, known.tags) == (
        "failed",
        "too heavy",
        {"parcel": "books"},
        ("post",),
    )
    assert (known.version, known.ended_at) == (job.version, job.ended_at)


def test_an_ended_job_is_found_without_redis(settings):
    ended, alive = ended_job(), started_job()
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    assert repository.find(ended.id).state is JobState.COMPLETE
    with pytest.raises(StoreUnavailable):
        repository.find(alive.id)


async def test_asynchronous_code_finds_archived_jobs(redis_client):
    job = await sync_to_async(ended_job)()
    redis_client.flushall()
    assert (await repository.afind(job.id)).state is JobState.COMPLETE
    with pytest.raises(JobNotFound):
        await repository.afind("nobody")
    await reader.async_reader().close()


async def test_asynchronous_code_enforces_deadlines(settings):
    settings.JOBS = settings.JOBS | {"START_TIMEOUT": 0.02}
    job = await sync_to_async(create_job)()
    await asyncio.sleep(0.03)
    assert (await repository.afind(job.id)).state is JobState.EXPIRED
    await reader.async_reader().close()


async def test_asynchronous_code_falls_back_to_the_archive_without_redis(settings):
    ended, alive = await sync_to_async(ended_job)(), await sync_to_async(started_job)()
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    assert (await repository.afind(ended.id)).state is JobState.COMPLETE
    with pytest.raises(StoreUnavailable):
        await repository.afind(alive.id)


def test_without_an_archive_a_job_vanishes_with_redis(redis_client, settings):
    settings.JOBS = settings.JOBS | {"ARCHIVE": False}
    job = ended_job()
    assert repository.find(job.id).state is JobState.COMPLETE
    redis_client.flushall()
    with pytest.raises(JobNotFound):
        repository.find(job.id)


def test_a_damaged_job_is_found_as_failed_with_one_log_line(redis_client, caplog):
    job = started_job()
    plant(redis_client, job, attempt="often")
    assert repository.find(job.id).state is JobState.FAILED
    assert [(record.name, record.levelno) for record in caplog.records] == [
        ("jobs.core.record", logging.ERROR)
    ]


# Lists


def test_an_owner_s_jobs_are_listed_newest_first_alive_and_ended(redis_client):
    old, running, new = ended_job(), started_job(), create_job()
    create_job(owner="visitor:bob")
    create_job(owner=None)
    assert [job.id for job in repository.for_owner(OWNER)] == [new.id, running.id, old.id]
    assert [job.state for job in repository.for_owner(OWNER)] == ["pending", "running", "complete"]
    assert [job.id for job in repository.for_owner(OWNER, limit=2)] == [new.id, running.id]


def test_ended_jobs_are_listed_after_redis_was_emptied(redis_client):
    old, new = ended_job(), ended_job()
    redis_client.flushall()
    assert [job.id for job in repository.for_owner(OWNER)] == [new.id, old.id]


def test_a_user_sees_jobs_from_before_their_login():
    user = create_user()
    before, after = create_job(), create_job(owner=user)
    assert [job.id for job in repository.for_owners([owner_name(user), OWNER])] == [
        after.id,
        before.id,
    ]
    assert [job.id for job in repository.for_owner(user)] == [after.id]


def test_a_list_enforces_deadlines(settings):
    settings.JOBS = settings.JOBS | {"START_TIMEOUT": 0.02}
    job = create_job(tags=["post"])
    eventually(lambda: records.read(job.id).now > records.read(job.id).record.deadline)
    assert [job.state for job in repository.of_topic("tag:post")] == [JobState.EXPIRED]


def test_one_damaged_job_does_not_hide_others_in_a_list(redis_client, caplog):
    good, bad, wrong = create_job(), create_job(), create_job()
    plant(redis_client, bad, version="soon")
    redis_client.delete(f"jobs:{{{wrong.id}}}")
    redis_client.rpush(f"jobs:{{{wrong.id}}}", "a list")
    listed = {job.id: job.state for job in repository.for_owner(OWNER)}
    assert listed == {good.id: "pending", bad.id: "failed"}
    assert f"job {wrong.id}: damaged record" in caplog.text


def test_a_list_of_any_length_takes_three_round_trips(redis_client):
    for _ in range(5):
        create_job()
    seen = commands(redis_client, lambda: repository.for_owner(OWNER))
    assert seen == ["ZREVRANGE", "TIME"] + ["HGETALL"] * 5


def test_another_owner_s_job_planted_in_an_index_is_not_listed(redis_client):
    job = create_job(owner="visitor:bob")
    redis_client.zadd("jobs:index:owner:visitor:ann", {job.id: 1})
    assert repository.for_owner(OWNER) == []


# Owners and listeners


def test_an_owner_is_a_user_a_visitor_or_nobody():
    user = create_user()
    assert owner_name(user) == f"user:{user.pk}"
    assert owner_name(None) == owner_name(AnonymousUser()) == owner_name("") == ""
    assert owner_name("visitor:ann") == "visitor:ann" and owner_name("user:7") == "user:7"


def test_nobody_owns_the_jobs_that_scripts_started(redis_client):
    ended = ended_job(owner=None)
    assert ended.owner == "" and JobRecord.objects.filter(owner="").exists()
    assert (
        repository.for_owner(None)
        == repository.for_owner(AnonymousUser())
        == repository.for_owner("")
        == []
    )


def test_listeners_of_job_created_can_find_the_job():
    heard = []

    def listen(job, **_):
        heard.append(repository.find(job.id).state)

    signals.job_created.connect(listen)
    try:
        create_job()
    finally:
        signals.job_created.disconnect(listen)
    assert heard == [JobState.PENDING]
