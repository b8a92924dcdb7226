"""Line protocol to the letter: escapes, types, times, and what cannot be said in it."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from hubqueue.expression import Text, Value
from hubqueue.forward.content import NAMES, Unfit
from hubqueue.forward.sinks.influx.lines import Shape
from support.writing import QUEUE, parcel


def values(**named: str) -> dict[str, Value]:
    return {name: Value(text, NAMES) for name, text in named.items()}


def shape(measurement: str = "m", **more: Any) -> Shape:
    return Shape(Text(measurement, NAMES), **more)


def line(data: Any, of: Shape | None = None, *, at_ms: int = 1_700_000_000_123) -> str:
    return (of or shape()).line(parcel(1, data, at_ms=at_ms), QUEUE).decode()


def unfit(data: Any, of: Shape | None = None) -> str:
    with pytest.raises(Unfit) as failure:
        line(data, of)
    return str(failure.value)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"v": 1.5}, "v=1.5"),
        ({"v": 20}, "v=20.0"),
        ({"v": True, "w": False}, "v=true,w=false"),
        ({"v": "warm"}, 'v="warm"'),
        ({"v": 'say "a\\b"'}, 'v="say \\"a\\\\b\\""'),
        ({"v": "two\nlines"}, 'v="two\nlines"'),
        ({"v": ""}, 'v=""'),
        ({"v": None, "w": 1.0}, "w=1.0"),
        ({"a b,c=d": 1.0}, "a\\ b\\,c\\=d=1.0"),
        ({"air": {"temperature": 1.0, "co2": {"ppm": 2.0}}}, "air_temperature=1.0,air_co2_ppm=2.0"),
        ({"time": "noon", "v": 1e300}, "v=1e+300"),
        (7.5, "value=7.5"),
        ("text", 'value="text"'),
        ({"größe": "ä"}, 'größe="ä"'),
    ],
)
def test_fields_are_written_as_the_protocol_says(data: Any, expected: str) -> None:
    assert line(data) == f"m {expected} 1700000000123"


def test_whole_numbers_are_integers_when_asked_for() -> None:
    of = shape(integers=True)
    assert line({"a": 1, "b": -(2**63), "c": 2**63 - 1, "d": 1.0, "e": True}, of) == (
        f"m a=1i,b={-(2**63)}i,c={2**63 - 1}i,d=1.0,e=true 1700000000123"
    )
    assert "64 bits" in unfit({"a": 2**63}, of)


def test_tags_are_sorted_escaped_and_never_empty() -> None:
    of = shape("a b,c=d", tags=values(z="data.z", room="data.room", gone="data.gone", empty="data.empty", on="data.on"))
    data = {"z": 7, "room": "a b,c=d", "empty": "", "on": True, "v": 1.0}
    assert line(data, of) == "a\\ b\\,c=d,on=true,room=a\\ b\\,c\\=d,z=7 v=1.0 1700000000123"


def test_a_line_break_in_a_tag_begins_no_other_point() -> None:
    of = shape("{{ data.m }}", tags=values(room="data.room"), fields=values(v="data.v"))
    text = line({"m": "m\nevil v=1", "room": "x\ny z=1 1", "v": 2.0}, of)
    assert "\n" not in text
    assert text == "m\\nevil\\ v=1,room=x\\ny\\ z\\=1\\ 1 v=2.0 1700000000123"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"v": math.nan}, "finite"),
        ({"v": math.inf}, "finite"),
        ({"v": [1, 2]}, "list"),
        ({"v": b"\x00"}, "a field is"),
        ({"v": "x" * 65_537}, "65536 bytes"),
        ({}, "no field"),
        ({"v": None}, "no field"),
        (None, "no field"),
        ({"v\\": 1.0}, "backslash"),
        ({"": 1.0}, "name"),
    ],
)
def test_what_cannot_be_said_is_refused(data: Any, why: str) -> None:
    assert why in unfit(data)


def test_odd_tags_and_measurements_are_refused() -> None:
    assert "backslash" in unfit({"t": "a\\", "v": 1.0}, shape(tags=values(t="data.t")))
    assert "tag" in unfit({"t": [1], "v": 1.0}, shape(tags=values(t="data.t")))
    assert "measurement" in unfit({"v": 1.0, "m": ""}, shape("{{ data.m }}"))
    assert "measurement" in unfit({"v": 1.0}, shape("# {{ queue }}"))
    assert "no_such" in unfit({"v": 1.0}, shape("{{ data.no_such }}"))


def test_fields_may_be_worked_out() -> None:
    of = shape("{{ queue }}.{{ name }}", fields=values(celsius="(data.f - 32) * 5 / 9", gone="data.gone"))
    assert line({"f": 212}, of) == "readings.reading celsius=100.0 1700000000123"
    assert "celsius" in unfit({"f": "hot"}, of)


@pytest.mark.parametrize(
    ("precision", "expected"),
    [("s", 1_700_000_000), ("ms", 1_700_000_000_123), ("us", 1_700_000_000_123_000), ("ns", 1_700_000_000_123_000_000)],
)
def test_the_time_is_when_the_job_was_made(precision: Any, expected: int) -> None:
    assert line({"v": 1.0}, shape(precision=precision)).rpartition(" ")[2] == str(expected)


@pytest.mark.parametrize(
    ("at", "expected_us"),
    [
        ("2026-11-22T08:00:00.123456Z", 1_795_334_400_123_456),
        ("2026-11-22T09:00:00+01:00", 1_795_334_400_000_000),
        ("2026-11-22T08:00:00", 1_795_334_400_000_000),
        (datetime(2026, 11, 22, 8, tzinfo=UTC), 1_795_334_400_000_000),
        (1_795_334_400, 1_795_334_400_000_000),
        (1_795_334_400_123, 1_795_334_400_123_000),
        (188.5, 188_500_000),
        ("1795334400123456789", 1_795_334_400_123_456),
    ],
)
def test_the_time_is_that_of_the_data_when_asked_for(at: Any, expected_us: int) -> None:
    of = shape(time=Value("data.at", NAMES), fields=values(v="data.v"), precision="us")
    assert line({"at": at, "v": 1.0}, of) == f"m v=1.0 {expected_us}"


@pytest.mark.parametrize(
    "at", ["noon", True, [], "2300-01-01T00:00:00Z", "1600-01-01T00:00:00Z", math.nan, 1e300, None]
)
def test_a_time_that_is_none_is_refused(at: Any) -> None:
    assert "time" in unfit({"at": at, "v": 1.0}, shape(time=Value("data.at", NAMES), fields=values(v="data.v")))
