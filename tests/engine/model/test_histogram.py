"""Times by their magnitude, and quantiles of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hubqueue.model.histogram import BUCKETS, bucket_of, quantile


def test_without_times_there_is_no_quantile() -> None:
    assert quantile([0] * BUCKETS, 0.5) is None


def test_a_clock_that_was_put_back_counts_as_no_time() -> None:
    assert bucket_of(-5) == bucket_of(0) == 0


def test_the_longest_times_share_a_bucket() -> None:
    assert bucket_of(2**60) == BUCKETS - 1


@given(st.lists(st.integers(min_value=0, max_value=2**30), min_size=1), st.floats(min_value=0.01, max_value=1))
def test_a_quantile_is_right_to_a_factor_of_two(times: list[int], q: float) -> None:
    counts = [0] * BUCKETS
    for ms in times:
        counts[bucket_of(ms)] += 1
    found = quantile(counts, q)
    assert found is not None
    rank = next(n for n in range(1, len(times) + 1) if n >= q * len(times))
    exact = sorted(times)[rank - 1]
    assert exact / 2 <= found <= max(2 * exact, 0)
