"""How numbers, sizes, durations and times are written."""

from __future__ import annotations

import pytest

from hubqueue.ui import formats
from hubqueue.ui.text import texts

EN, DE = texts("en"), texts("de")


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (None, "–"),
        (0, "0 ms"),
        (0.4, "0.4 ms"),
        (250, "250 ms"),
        (1000, "1 s"),
        (1500, "1.5 s"),
        (59_999, "59 s"),
        (20 * 60_000, "20 min"),
        (90 * 60_000, "1 h 30 min"),
        (3 * 3_600_000, "3 h"),
        (26 * 3_600_000, "1 d 2 h"),
        (40 * 86_400_000 + 3_600_000, "40 d"),
    ],
)
def test_a_duration_has_one_or_two_units(ms: float | None, text: str) -> None:
    assert formats.duration(EN, ms) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "–"),
        (0, "0 B"),
        (999, "999 B"),
        (1200, "1.2 kB"),
        (123_456_789, "123 MB"),
        (4.2e12, "4.2 TB"),
        (9e15, "9,000 TB"),
    ],
)
def test_a_size_has_the_unit_that_fits(count: float | None, text: str) -> None:
    assert formats.size(EN, count) == text


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (0, "0"), (0.02, "0.02"), (1.53, "1.5"), (1234.5, "1,234")])
def test_a_rate_has_as_many_digits_as_say_something(value: float | None, text: str) -> None:
    assert formats.rate(EN, value) == text


def test_german_writes_numbers_its_own_way() -> None:
    assert formats.number(DE, 1204) == "1.204"
    assert formats.size(DE, 1_234_000) == "1,2 MB"
    assert formats.duration(DE, 90 * 60_000) == "1 Std. 30 min"


@pytest.mark.parametrize(("distance", "text"), [(0, "now"), (5000, "5 s ago"), (-120_000, "in 2 min")])
def test_a_time_is_seen_from_now(distance: float, text: str) -> None:
    now = 1_800_000_000_000.0
    assert formats.ago(EN, now - distance, now) == text


@pytest.mark.parametrize("at_ms", [-1e30, 0, 1e15, 1e30])
def test_no_time_is_too_odd_to_be_written(at_ms: float) -> None:
    assert formats.machine(at_ms)
    assert formats.absolute(at_ms).endswith("UTC")
