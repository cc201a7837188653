"""The broker cannot block a view without end, and delivers no message twice while a task runs."""

import pytest

from jobs.checks.broker import check_broker, check_redelivery
from jobs.queues.celery import inspection
from tests.tasks import send_parcel

from .messages import ids


@pytest.fixture
def broker(monkeypatch):
    """Return a function that sets the broker's transport and options."""
    return lambda *given: monkeypatch.setattr(inspection, "broker_options", lambda: given)


@pytest.mark.parametrize(
    ("transport", "options", "found"),
    [
        ("redis", {"socket_timeout": 3}, []),
        ("redis", {}, ["jobs.W006"]),
        ("rediss", {"socket_timeout": None}, ["jobs.W006"]),
        ("sentinel", {"visibility_timeout": 3600}, ["jobs.W006"]),
        ("amqp", {}, []),
        ("amqp", {"confirm_publish": True}, ["jobs.W006"]),
        ("amqps", {"confirm_publish": True, "read_timeout": 2}, []),
    ],
)
def test_a_broker_without_a_timeout_is_a_warning(broker, transport, options, found):
    broker(transport, options)
    assert ids(check_broker()) == found


@pytest.mark.usefixtures("only_send_parcel")
@pytest.mark.parametrize(
    ("transport", "options", "limit", "found"),
    [
        ("redis", {}, None, ["jobs.W013"]),
        ("redis", {"visibility_timeout": 7200}, None, []),
        ("sentinel", {"visibility_timeout": 7200}, 7200, ["jobs.W013"]),
        ("rediss", {"visibility_timeout": 7201}, 7200, []),
        ("amqp", {}, None, []),
    ],
)
def test_a_redis_that_redelivers_during_a_long_task_is_a_warning(
    broker, monkeypatch, transport, options, limit, found
):
    monkeypatch.setattr(send_parcel, "acks_late", True)
    monkeypatch.setattr(send_parcel, "time_limit", limit)
    broker(transport, options)
    assert ids(check_redelivery()) == found
    assert all("tests.tasks.send_parcel" in message.msg for message in check_redelivery())


@pytest.mark.usefixtures("only_send_parcel")
def test_tasks_that_acknowledge_early_are_never_redelivered(broker):
    broker("redis", {})
    assert check_redelivery() == []


def test_transport_and_options_are_read_from_celery():
    transport, options = inspection.broker_options()
    assert transport == "redis" and options["socket_timeout"] == 3
