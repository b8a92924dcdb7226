"""The time that a record says of itself."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from hubqueue.pipeline.record import Refused
from hubqueue.pipeline.times import time_ms

MS = 1_764_072_000_000


@pytest.mark.parametrize(
    "value",
    [
        MS,
        MS / 1000,
        MS // 1000,
        str(MS),
        f" {MS // 1000} ",
        "2025-11-25T12:00:00Z",
        "2025-11-25T14:00:00+02:00",
        "2025-11-25 12:00:00",
        " 2025-11-25T12:00:00.000 ",
        datetime(2025, 11, 25, 12, tzinfo=UTC),
        datetime(2025, 11, 25, 14, tzinfo=timezone(timedelta(hours=2))),
        datetime(2025, 11, 25, 12),
    ],
)
def test_a_moment_is_read_in_any_of_its_forms(value: Any) -> None:
    assert time_ms(value) == MS


@pytest.mark.parametrize("value", [0, 0.0, "1970-01-01"])
def test_a_clock_that_was_never_set_says_1970(value: Any) -> None:
    assert time_ms(value) == 0


ODD: tuple[Any, ...] = (
    "",
    "noon",
    "12:00",
    None,
    True,
    math.nan,
    math.inf,
    [],
    {},
    b"x",
    -1,
    2**63,
    1e300,
)
OUTSIDE = ("1899-12-31T23:59:59", "1969-12-31", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "٢٠٢٥")


@pytest.mark.parametrize("value", ODD + OUTSIDE)
def test_what_is_no_time_is_refused(value: Any) -> None:
    with pytest.raises(Refused):
        time_ms(value)
