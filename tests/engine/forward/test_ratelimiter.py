"""The rate limit and the tally of a forwarder: pure, told the time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubqueue.forward.ratelimiter import RateLimiter
from hubqueue.forward.status import Tally


def test_without_a_limit_everything_goes_at_once() -> None:
    pace = RateLimiter(None, 0.0)
    assert pace.take(1000, 0.0) == 1000
    assert pace.wait_s() == 0.0


def test_a_burst_of_one_second_goes_and_then_the_limit_holds() -> None:
    pace = RateLimiter(100.0, 0.0)
    assert pace.take(1000, 0.0) == 100
    assert pace.take(1000, 0.0) == 0
    assert pace.wait_s() == pytest.approx(0.1)
    assert pace.take(1000, 0.1) == 10


def test_a_single_job_need_not_wait_for_a_whole_portion() -> None:
    pace = RateLimiter(100.0, 0.0)
    pace.take(100, 0.0)
    assert pace.take(1, 0.01) == 1


def test_tokens_of_jobs_that_did_not_come_are_given_back() -> None:
    pace = RateLimiter(10.0, 0.0)
    assert pace.take(10, 0.0) == 10
    pace.give_back(7)
    assert pace.take(10, 0.0) == 7


def test_a_limit_below_one_a_second_lets_single_jobs_through() -> None:
    pace = RateLimiter(0.5, 0.0)
    assert pace.take(100, 0.0) == 1
    assert pace.wait_s() == pytest.approx(2.0)
    assert pace.take(100, 2.0) == 1


@given(st.floats(0.1, 5000), st.lists(st.tuples(st.floats(0.001, 3), st.integers(1, 1000)), max_size=50))
def test_no_more_than_the_burst_and_the_rate_ever_goes(per_s: float, asks: list[tuple[float, int]]) -> None:
    pace, now_s, gone = RateLimiter(per_s, 0.0), 0.0, 0
    for pause_s, wanted in asks:
        now_s += pause_s
        gone += pace.take(wanted, now_s)
        assert gone <= max(1.0, per_s) + per_s * now_s + 1e-6


def test_a_steady_stream_shows_its_rate() -> None:
    tally = Tally(0.0)
    for second in range(1, 120):
        tally.delivered(50, float(second))
    assert tally.per_s(119.0) == pytest.approx(50, rel=0.05)
    assert tally.forwarded == 119 * 50


def test_the_rate_of_a_new_forwarder_is_not_diluted_by_the_time_before_it() -> None:
    tally = Tally(1000.0)
    for second in range(1, 4):
        tally.delivered(50, 1000.0 + second)
    assert tally.per_s(1003.0) == pytest.approx(50, rel=0.1)


def test_the_rate_fades_when_nothing_goes() -> None:
    tally = Tally(0.0)
    tally.delivered(1000, 10.0)
    assert tally.per_s(310.0) < 0.01
