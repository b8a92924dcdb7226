"""Quantiles: exact up to a thousand values, then a digest whose error has a bound."""

from __future__ import annotations

import math
import random
from bisect import bisect_left, bisect_right

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubqueue.pipeline.quantile import COMPRESSION, Digest, exact, merged
from hubqueue.pipeline.samples import EXACT, PIECE, Samples
from hubqueue.pipeline.state import StepState

WANTED = (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)
finite = st.floats(allow_nan=False, allow_infinity=False)


def rank_error(ordered: list[float], found: float, q: float) -> float:
    """How far the value is from where it should be, as a part of all values."""
    left, right = bisect_left(ordered, found), bisect_right(ordered, found)
    wanted = q * len(ordered)
    return max(0.0, left - wanted, wanted - right) / len(ordered)


def test_exact_quantiles_are_those_of_other_tools() -> None:
    assert [exact([1, 2, 3, 4], q) for q in (0.25, 0.5, 0.9)] == [1.75, 2.5, 3.7]  # numpy.quantile
    assert exact([7.0], 0.99) == 7.0
    assert exact([-1e308, 1e308], 0.5) == 0.0


@pytest.mark.parametrize(
    "draw",
    [
        lambda r: r.random(),
        lambda r: r.gauss(20, 3),
        lambda r: r.lognormvariate(0, 2),
        lambda r: float(r.randint(1, 5)),
        lambda r: r.choice((0.0, 1000.0)) + r.random(),
    ],
    ids=["even", "normal", "skewed", "few-values", "two-heaps"],
)
@pytest.mark.parametrize("order", ["as drawn", "rising", "falling"])
def test_a_digest_is_within_its_bound(draw: object, order: str) -> None:
    source = random.Random(3)
    values = [draw(source) for _ in range(50_000)]  # type: ignore[operator]
    if order != "as drawn":
        values.sort(reverse=order == "falling")
    digest: Digest | None = None
    for start in range(0, len(values), PIECE):
        digest = merged(digest, values[start : start + PIECE])
    assert digest is not None
    assert len(digest.means) <= COMPRESSION
    assert sum(digest.weights) == len(values)
    values.sort()
    assert (digest.low, digest.high) == (values[0], values[-1])
    for q in WANTED:
        error = rank_error(values, digest.quantile(q), q)
        assert error <= 0.0005 + 0.02 * math.sqrt(q * (1 - q)), (q, error)
    assert len(msgspec.msgpack.encode(digest)) < 4000


@given(st.lists(finite, min_size=1, max_size=3000), st.floats(0, 1))
def test_a_quantile_lies_between_the_smallest_and_the_largest(values: list[float], q: float) -> None:
    state = StepState("n")
    for count, value in enumerate(values):
        Samples(state, "k", count).add(value)
    samples = Samples(state, "k", len(values))
    assert min(values) <= samples.quantile(q) <= max(values)
    samples.drop()
    assert list(state.keys()) == []


@pytest.mark.parametrize("count", [1, PIECE - 1, PIECE, PIECE + 1, EXACT - 1, EXACT])
def test_up_to_a_thousand_values_are_exact(count: int) -> None:
    source = random.Random(count)
    values = [source.random() for _ in range(count)]
    state = StepState("n")
    for number, value in enumerate(values):
        Samples(state, "k", number).add(value)
    for q in WANTED:
        assert Samples(state, "k", count).quantile(q) == exact(sorted(values), q)


@pytest.mark.parametrize("count", [EXACT + 1, EXACT + PIECE, EXACT + PIECE + 1, 5000])
def test_beyond_a_thousand_no_value_is_lost_and_little_is_kept(count: int) -> None:
    source = random.Random(count)
    values = [source.random() for _ in range(count)]
    state = StepState("n")
    for number, value in enumerate(values):
        Samples(state, "k", number).add(value)
        if number % 700 == 0:  # as after a restart
            stored = {blob.key: blob.value for blob in state.changes()}
            state.kept()
            for key, blob in stored.items():
                if blob is not None:
                    state._kept[key] = msgspec.msgpack.decode(blob)
    samples = Samples(state, "k", count)
    ordered = sorted(values)
    for q in WANTED:
        assert rank_error(ordered, samples.quantile(q), q) <= 0.001 + 0.02 * math.sqrt(q * (1 - q))
    assert sum(len(blob.value or b"") for blob in state.changes()) < 5000
    samples.drop()
    assert list(state.keys()) == []
