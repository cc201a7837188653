"""How many jobs the server reads for one socket, and for one owner."""

import pytest

from jobs.live import budget
from jobs.live.budget import Budget, budget_of


@pytest.fixture
def clock(monkeypatch, settings):
    """Return a clock that the test moves. Ten jobs a second may be read."""
    settings.JOBS = settings.JOBS | {"MAX_JOBS_PER_SECOND": 10}
    time = [1000.0]
    monkeypatch.setattr(budget, "monotonic", lambda: time[0])
    monkeypatch.setattr(budget, "_of_owners", {})
    return time


def test_a_few_seconds_worth_of_jobs_may_be_read_at_once(clock):
    page = Budget()
    page.spend(10 * budget.SOCKET_BURST)
    assert page.wait == 0
    page.spend(1)
    assert page.wait == pytest.approx(0.1)


def test_a_spent_budget_fills_again_by_its_rate_and_no_further(clock):
    page = Budget()
    page.spend(10 * budget.SOCKET_BURST + 20)
    clock[0] += 1
    assert page.wait == pytest.approx(1)
    clock[0] += 1_000_000
    page.spend(10 * budget.SOCKET_BURST + 1)
    assert page.wait == pytest.approx(0.1)


def test_an_owner_s_sockets_share_one_budget_and_other_owners_have_their_own(clock):
    for _socket in range(2):
        budget_of("user:1").spend(10 * budget.OWNER_BURST)
    assert budget_of("user:1").wait > 0
    assert budget_of("user:2").wait == 0


def test_an_owner_s_budget_fills_faster_than_a_socket_s(clock):
    budget_of("user:1").spend(10 * budget.OWNER_BURST + 10 * budget.OWNER_RATE)
    assert budget_of("user:1").wait == pytest.approx(1)


def test_a_hundred_tabs_of_one_owner_may_all_come_back_at_once(clock, settings):
    settings.JOBS = settings.JOBS | {"MAX_JOBS_PER_SECOND": 100}
    for _tab in range(100):
        assert budget_of("user:1").wait == 0
        budget_of("user:1").spend(2 * (1 + 100) + 10)  # a bell, a list of a tag, and ten jobs


def test_the_budgets_of_inactive_owners_are_forgotten_first(clock, monkeypatch):
    monkeypatch.setattr(budget, "OWNERS", 3)
    for number in range(1, 10):
        budget_of(f"user:{number}").spend(10_000)
        assert budget_of("user:1").wait > 0
    assert [budget_of(f"user:{number}").wait > 0 for number in (9, 2)] == [True, False]
