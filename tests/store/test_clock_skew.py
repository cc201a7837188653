"""The difference between Redis's clock and ours."""

import time

import pytest

from jobs.exceptions import StoreUnavailable
from jobs.store.clock_skew import ClockSkew, clock_skew
from tests.factories import NOWHERE


def test_a_redis_on_this_machine_has_the_same_clock():
    skew = clock_skew()
    assert abs(skew.seconds) <= skew.took and skew.certain == 0


@pytest.mark.parametrize("ahead", [-3600, 3600])
def test_a_clock_that_differs_is_measured(ahead, monkeypatch):
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - ahead)
    skew = clock_skew()
    assert skew.seconds == pytest.approx(ahead, abs=0.5)
    assert skew.certain == skew.seconds


@pytest.mark.parametrize(("seconds", "certain"), [(0.2, 0), (-0.2, 0), (0.3, 0.3), (-0.3, -0.3)])
def test_a_difference_counts_only_if_it_exceeds_the_time_of_the_question(seconds, certain):
    assert ClockSkew(seconds, took=0.2).certain == certain


def test_without_redis_there_is_no_difference_to_measure(settings):
    settings.JOBS = settings.JOBS | {"REDIS_URL": NOWHERE}
    with pytest.raises(StoreUnavailable):
        clock_skew()
