"""The doctor takes every step, and each step reports one line."""

import pytest
import redis

from jobs.doctor import walk
from jobs.doctor.walk import take_steps
from project.demo.embedded import EmbeddedServer


@pytest.mark.usefixtures("one_worker", "database_file")
def test_a_healthy_system_passes_every_step(redis_client):
    findings = list(take_steps())
    assert [finding for finding in findings if not finding.is_ok] == []
    steps = "settings store archive broker tasks worker layer route static"
    assert [finding.step for finding in findings] == steps.split()
    assert redis_client.dbsize() == 0  # the doctor leaves nothing behind


@pytest.mark.usefixtures("one_worker", "database_file")
def test_an_address_without_a_server_fails_three_steps():
    wrong = [finding for finding in take_steps("http://127.0.0.1:1") if not finding.is_ok]
    assert [finding.step for finding in wrong] == ["socket", "origin", "static"]
    assert all("refused" in finding.text for finding in wrong)


def test_an_unexpected_error_is_a_finding_too(monkeypatch):
    monkeypatch.setattr(walk, "STEPS", {"odd": lambda: 1 / 0})
    odd = next(finding for finding in take_steps() if finding.step == "odd")
    assert not odd.is_ok and odd.text == "ZeroDivisionError: division by zero"


@pytest.mark.usefixtures("database_file")
@pytest.mark.parametrize("given", ["geheim", "wrong-geheim"])
def test_no_step_shows_or_logs_a_password(settings, use_broker, caplog, given):
    with EmbeddedServer() as server, redis.Redis.from_url(server.url) as client:
        client.config_set("requirepass", "geheim")
        url = server.url.replace("//", f"//:{given}@")
        settings.JOBS = settings.JOBS | {"REDIS_URL": url}
        layer = settings.CHANNEL_LAYERS["default"] | {"CONFIG": {"hosts": [url]}}
        settings.CHANNEL_LAYERS = {"default": layer}
        use_broker(url)
        findings = {finding.step: finding for finding in take_steps()}
    steps = {name: findings[name].is_ok for name in ("store", "broker", "layer")}
    assert set(steps.values()) == {given == "geheim"}, steps
    assert "geheim" not in "".join(finding.text for finding in findings.values()) + caplog.text
