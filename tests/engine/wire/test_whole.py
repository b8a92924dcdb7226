"""Whole numbers that are written with a point, for structs that want ints."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Meta, UnsetType

from hubqueue.wire.whole import converted


class Inner(msgspec.Struct, rename="camel"):
    max_tries: Annotated[int, Meta(ge=1)] = 1


class Wanted(msgspec.Struct):
    delay: int
    pace: float | int = 0.0
    maybe: Annotated[int, Meta(ge=0)] | UnsetType | None = UNSET
    many: list[int] = []
    inner: Inner | None = None
    by_name: dict[str, int] = {}
    data: Any = None


def test_whole_numbers_are_ints_wherever_one_is_wanted() -> None:
    given = {
        "delay": 1500.0,
        "pace": 2.0,
        "maybe": 3.0,
        "many": [1.0, 2],
        "inner": {"maxTries": 4.0},
        "by_name": {"a": -5.0},
        "data": {"t": 21.0},
    }
    found = converted(given, Wanted)
    assert found == Wanted(1500, 2.0, 3, [1, 2], Inner(4), {"a": -5}, {"t": 21.0})
    assert [type(each) for each in (found.delay, found.maybe, found.many[0], found.inner.max_tries)] == [int] * 4
    assert (type(found.pace), type(found.data["t"])) == (float, float)  # user data stays as it came


@pytest.mark.parametrize("value", [1.5, 1e300, 2.0**54, float("nan"), float("inf"), "1500", True, None, [1]])
def test_nothing_else_becomes_an_int(value: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        converted({"delay": value}, Wanted)


def test_bounds_hold_for_them_too() -> None:
    with pytest.raises(msgspec.ValidationError, match=">= 1"):
        converted({"delay": 1.0, "inner": {"maxTries": 0.0}}, Wanted)


@given(st.integers(-(2**53), 2**53))
def test_a_number_means_the_same_with_and_without_a_point(number: int) -> None:
    assert converted({"delay": float(number)}, Wanted) == converted({"delay": number}, Wanted)
