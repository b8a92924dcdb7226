"""The breaker: when a link is left alone, tried and trusted. Pure, so time is just a number here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubqueue.forward.breaker import Breaker, LinkState
from hubqueue.forward.verdict import Down, Reason

LOST = Down(Reason.UNREACHABLE, "connection reset")


def breaker(chance: float = 1.0) -> Breaker:
    return Breaker(1.0, 60.0, batch=100, probe=1, now_s=0.0, chance=lambda: chance)


def test_a_new_link_is_tried_at_once_and_trusted_when_it_connects() -> None:
    link = breaker()
    assert (link.state, link.retry_at_s) == (LinkState.DOWN, 0.0)
    link.connected(0.1)
    assert link.state is LinkState.UP
    assert link.trusted


def test_each_failed_try_doubles_the_wait_up_to_the_cap() -> None:
    link = breaker()
    waits = []
    for _ in range(9):
        link.failed(LOST, link.epoch, 100.0)
        waits.append(link.retry_at_s - 100.0)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@given(st.integers(1, 200), st.floats(0, 1, exclude_max=True))
def test_the_wait_is_jittered_between_half_and_all_of_it(failures: int, chance: float) -> None:
    link = breaker(chance)
    for _ in range(failures):
        link.failed(LOST, link.epoch, 0.0)
    whole = min(60.0, 2.0 ** (failures - 1))
    assert whole / 2 <= link.retry_at_s <= whole


def test_a_wait_that_the_other_side_asks_for_is_respected_even_beyond_the_cap() -> None:
    link = breaker()
    link.failed(Down(Reason.QUOTA, "slow down", retry_after_s=300), link.epoch, 0.0)
    assert link.retry_at_s == 300


def test_a_short_wait_asked_for_does_not_shorten_the_back_off() -> None:
    link = breaker()
    link.failed(Down(Reason.QUOTA, "slow down", retry_after_s=0.001), link.epoch, 0.0)
    assert link.retry_at_s == 1.0


def test_a_link_that_came_back_is_probed_before_it_is_trusted() -> None:
    link = breaker()
    link.connected(0.0)
    link.failed(LOST, link.epoch, 1.0)
    link.connected(2.0)
    assert (link.state, link.trusted) == (LinkState.PROBING, False)
    link.delivered(link.epoch, 3.0)
    assert (link.state, link.trusted) == (LinkState.UP, True)


def test_connecting_alone_does_not_reset_the_wait() -> None:
    link = breaker()
    for _ in range(4):
        link.connected(0.0)
        link.failed(Down(Reason.DISK_FULL, "disk full"), link.epoch, 0.0)
    assert link.retry_at_s == 8.0


def test_a_quiet_link_is_up_but_not_yet_trusted() -> None:
    link = breaker()
    link.failed(LOST, link.epoch, 0.0)
    link.connected(1.0)
    link.quiet(2.0)
    assert link.state is LinkState.UP
    assert not link.trusted


def test_news_of_an_earlier_connection_changes_nothing() -> None:
    link = breaker()
    link.connected(0.0)
    old = link.epoch
    assert link.failed(LOST, old, 1.0)
    assert not link.failed(LOST, old, 1.0)
    assert link.failures == 1
    link.connected(2.0)
    link.delivered(old, 3.0)
    assert link.state is LinkState.PROBING


def test_since_is_the_time_of_the_last_change_of_state() -> None:
    link = breaker()
    link.failed(LOST, link.epoch, 5.0)
    assert link.since_s == 0.0
    link.connected(7.0)
    assert link.since_s == pytest.approx(7.0)


def test_batches_begin_small_after_a_failure_and_double() -> None:
    link = breaker()
    assert link.limit == 100
    link.failed(LOST, link.epoch, 0.0)
    link.connected(1.0)
    limits = []
    for _ in range(8):
        limits.append(link.limit)
        link.delivered(link.epoch, 2.0)
    assert limits == [1, 2, 4, 8, 16, 32, 64, 100]
