"""A real Redis Cluster is not supported, and every error that it causes says so."""

import pytest
import redis

from jobs.doctor.step import StepFailed
from jobs.doctor.store import try_store
from jobs.doctor.workers import try_broker
from jobs.exceptions import StoreUnavailable
from jobs.queues.celery import inspection
from jobs.repository import JobRepository
from jobs.store import keys, records, server
from jobs.store.reader import async_reader
from project.demo.embedded import EmbeddedServer, free_port
from tests.factories import eventually
from tests.tasks import send_parcel

HALVES = [(0, 8191), (8192, 16383)]
CLUSTER_START_TIMEOUT = 30  # seconds
NAMED = "node of a Redis Cluster, which is not supported"


def node():
    return EmbeddedServer("--cluster-enabled", "yes", "--cluster-port", str(free_port()))


@pytest.fixture(scope="module")
def cluster():
    """Start a cluster of two nodes, each with half of the slots, and return the first node."""
    with node() as one, node() as two:
        clients = [redis.Redis.from_url(server.url) for server in (one, two)]
        for client, half in zip(clients, HALVES, strict=True):
            client.execute_command("CLUSTER ADDSLOTSRANGE", *half)
        clients[0].execute_command("CLUSTER MEET", "127.0.0.1", two.port, two.arguments[-1])
        eventually(lambda: all(is_whole(client) for client in clients), CLUSTER_START_TIMEOUT)
        yield one
        for client in clients:
            client.close()


def is_whole(client):
    return client.execute_command("CLUSTER INFO")["cluster_state"] == "ok"


@pytest.fixture
def jobs_in_cluster(cluster, settings):
    settings.JOBS = settings.JOBS | {"REDIS_URL": cluster.url}
    with redis.Redis.from_url(cluster.url) as client:
        yield client


def id_in(client, is_ours):
    """Return the id of a job that belongs to the node in the settings, or to the other node."""
    ids = (f"parcel-{n}" for n in range(1000))
    return next(
        i
        for i in ids
        if (client.execute_command("CLUSTER KEYSLOT", keys.job_key(i)) < 8192) == is_ours
    )


@pytest.mark.django_db
def test_the_error_for_a_job_on_another_node_names_the_cluster(jobs_in_cluster):
    job_id = id_in(jobs_in_cluster, is_ours=False)
    with pytest.raises(StoreUnavailable, match=NAMED):
        JobRepository().create(id=job_id, handler_class="jobs.handlers.JobHandler")
    with pytest.raises(StoreUnavailable, match=NAMED):
        records.read(job_id)


async def test_the_error_for_a_socket_names_the_cluster_too(jobs_in_cluster):
    reader = async_reader()
    with pytest.raises(StoreUnavailable, match=NAMED):
        await reader.read(id_in(jobs_in_cluster, is_ours=False))
    await reader.close()


def test_the_doctor_names_the_cluster_every_time(jobs_in_cluster):
    for _ in range(5):
        with pytest.raises(StepFailed, match=NAMED):
            try_store()


def test_the_doctor_names_a_broker_that_is_a_cluster(cluster, monkeypatch):
    monkeypatch.setitem(send_parcel.app.conf.changes, "broker_write_url", cluster.url)
    with pytest.raises(StepFailed, match="Redis Cluster, which Celery does not support"):
        try_broker()


def test_a_single_redis_is_not_a_cluster():
    assert not server.is_in_cluster()
    assert inspection.ask_broker().startswith("redis://127.0.0.1:")
