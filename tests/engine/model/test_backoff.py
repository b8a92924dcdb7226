"""Waits before the next try: they double, within bounds, and many do not return in step."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

import hubqueue
from hubqueue.model.backoff import ExponentialBackoff, doubled_s

seconds = st.floats(0.001, 3600)


@given(first_s=seconds, max_s=seconds, failures=st.integers(1, 200), chance=st.floats(0, 1, exclude_max=True))
def test_a_wait_is_between_half_and_all_of_what_doubles_to_the_bound(
    first_s: float, max_s: float, failures: int, chance: float
) -> None:
    backoff = ExponentialBackoff(first_s, max_s, lambda: chance)
    waits = [backoff.next_s() for _ in range(failures)]
    assert backoff.failures == failures
    assert all(before <= after for before, after in pairwise(waits))
    for failure, wait in enumerate(waits):
        whole = min(max_s, first_s * 2.0**failure)
        assert whole / 2 <= wait <= whole


@given(first_s=seconds, max_s=seconds, failures=st.integers(0, 10))
def test_what_went_well_begins_anew(first_s: float, max_s: float, failures: int) -> None:
    backoff = ExponentialBackoff(first_s, max_s, lambda: 0.25)
    first = backoff.first_s()
    for _ in range(failures):
        backoff.next_s()
    assert backoff.first_s() == first
    assert backoff.failures == failures
    backoff.reset()
    assert backoff.next_s() == first


def test_no_number_of_failures_is_too_many() -> None:
    assert doubled_s(0.1, 30.0, 10**9) == 30.0


def test_nobody_else_doubles_waits_by_hand() -> None:
    """What is left has reasons of its own: a job's own back-off, and that of a queue's dead letters."""
    package = Path(hubqueue.__file__).parent
    by_hand = [
        str(path.relative_to(package))
        for path in sorted(package.rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if "min(" in line and ("_s * 2" in line.lower() or " * 2.0 **" in line or " * 2**" in line or "<<" in line)
    ]
    assert by_hand == ["model/backoff.py", "model/queue_settings.py", "model/retry.py"]
