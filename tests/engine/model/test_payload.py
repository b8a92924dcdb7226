"""User data to MessagePack and back."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubqueue.errors import Invalid, ProtocolError
from hubqueue.model import payload

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1))
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(VALUES)
def test_what_can_be_carried_comes_back_the_same(value: Any) -> None:
    assert payload.decode(payload.encode(value)) == value


@given(st.binary(max_size=60))
def test_bytes_that_are_no_data_are_an_error_and_nothing_worse(data: bytes) -> None:
    try:
        payload.decode(data)
    except ProtocolError:
        pass


def test_no_data_and_an_explicit_null_are_both_none() -> None:
    assert payload.decode(None) is None
    assert payload.encode(None) == payload.NULL
    assert payload.decode(payload.NULL) is None


def test_dataclasses_come_back_as_dicts_and_tuples_as_lists() -> None:
    @dataclasses.dataclass
    class Point:
        x: int
        y: tuple[int, ...]

    assert payload.decode(payload.encode(Point(1, (2, 3)))) == {"x": 1, "y": [2, 3]}


@pytest.mark.parametrize("value", [object(), {"deep": [object()]}, lambda: 1, 1j, 2**64, -(2**63) - 1, "\ud800"])
def test_what_cannot_be_carried_is_refused_with_the_reason(value: object) -> None:
    with pytest.raises(Invalid, match="cannot carry"):
        payload.encode(value)


def test_the_type_that_cannot_be_carried_is_named() -> None:
    class Kettle:
        pass

    with pytest.raises(Invalid, match="Kettle"):
        payload.encode([Kettle()])


def test_data_that_contains_itself_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(Invalid):
        payload.encode(circle)


def test_data_nested_too_deeply_to_read_is_an_error() -> None:
    with pytest.raises(ProtocolError):
        payload.decode(b"\x91" * 100_000 + b"\xc0")
