"""Times as devices say them: one reader, for every door."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubqueue.errors import Invalid
from hubqueue.model.moment import DEFAULT, FIRST, LAST, PER_UNIT, NoTime, TimeFormat, Unit
from hubqueue.model.zone import zone_of

BERLIN = TimeFormat(ZoneInfo("Europe/Berlin"))
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
NOON_S = 1_796_040_000

TEXTS = [
    "2026-11-30T12:00:00Z",
    "2026-11-30t12:00:00z",
    "2026-11-30 12:00:00 UTC",
    "2026-11-30 12:00:00 +0000",
    "2026-11-30T13:00:00+01:00",
    "2026-11-30T13:00:00.000000+0100",
    "2026-11-30T14+02",
    "2026-11-30T04:30-07:30",
    " 2026-11-30T12:00:00,000Z\n",
    "2026-11-30T12:00Z",
]


@pytest.mark.parametrize("text", TEXTS)
def test_text_with_an_offset_is_the_same_in_every_zone(text: str) -> None:
    assert DEFAULT.at(text) == BERLIN.at(text) == NOON


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-11-30T22:47:23", "2026-11-30T21:47:23"),
        ("2026-07-30T22:47:23", "2026-07-30T20:47:23"),
        ("2026-11-30", "2026-11-29T23:00:00"),
        ("2026-11-30T24:00", "2026-11-30T23:00:00"),
        ("2026-03-29T01:59:59", "2026-03-29T00:59:59"),
        ("2026-03-29T02:00:00", "2026-03-29T01:00:00"),  # never was: as much later
        ("2026-03-29T02:30:00", "2026-03-29T01:30:00"),
        ("2026-03-29T03:00:00", "2026-03-29T01:00:00"),
        ("2026-10-25T02:30:00", "2026-10-25T00:30:00"),  # was twice: the first
        ("2026-10-25T03:00:00", "2026-10-25T02:00:00"),
    ],
)
def test_text_without_an_offset_is_local_time_of_the_zone(text: str, utc: str) -> None:
    assert BERLIN.at(text) == datetime.fromisoformat(utc).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["2016-12-31T23:59:60Z", "2017-01-01T00:59:60+01:00", "2016-12-31T24:00:00Z"])
def test_a_leap_second_and_the_end_of_a_day_are_the_second_after_them(text: str) -> None:
    assert DEFAULT.at(text) == datetime(2017, 1, 1, tzinfo=UTC)


def test_a_leap_second_is_local_time_too() -> None:
    assert BERLIN.at("2017-01-01T00:59:60") == datetime(2017, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("said", [NOON_S, NOON_S * 10**3, NOON_S * 10**6, NOON_S * 10**9])
def test_the_size_of_a_number_says_its_unit_and_text_of_digits_is_that_number(said: int) -> None:
    assert DEFAULT.at(said) == DEFAULT.at(str(said)) == DEFAULT.at(float(said)) == DEFAULT.at(f"{said}.0") == NOON


def test_digits_are_an_epoch_and_never_a_date() -> None:
    assert DEFAULT.at("1796072512345") == datetime(2026, 11, 30, 21, 1, 52, 345_000, tzinfo=UTC)
    assert DEFAULT.at("2026") == datetime(1970, 1, 1, 0, 33, 46, tzinfo=UTC)
    assert DEFAULT.at("20261130") == DEFAULT.at(20261130)


@pytest.mark.parametrize(
    ("unit", "value", "ms"),
    [
        ("ms", 188, 188),
        ("s", 188, 188_000),
        ("us", 188_999, 188),
        ("s", "188.5", 188_500),
        ("ms", 99_000_000_000, 99 * 10**9),
    ],
)
def test_a_unit_that_is_said_goes_before_the_size(unit: Unit, value: Any, ms: int) -> None:
    assert TimeFormat(unit=unit).ms(value) == ms


def test_nanoseconds_are_kept() -> None:
    assert DEFAULT.ns(1_796_040_000_123_456_789) == 1_796_040_000_123_456_789
    assert DEFAULT.ns("2026-11-30T12:00:00.123456789Z") == 1_796_040_000_123_456_789
    assert DEFAULT.ns("2026-11-30T12:00:00.1234567891Z") == 1_796_040_000_123_456_789


REFUSED: list[tuple[Any, str]] = [
    ("", "'' is no ISO 8601 time"),
    ("noon", "'noon' is no ISO 8601 time"),
    ("12:00", "no ISO 8601 time"),
    ("20261130T120000Z", "no ISO 8601 time"),
    ("2026-W49-1", "no ISO 8601 time"),
    ("2026-11", "no ISO 8601 time"),
    ("\u0662\u0660\u0662\u0665", "no ISO 8601 time"),
    ("2026-11-30T12:00:00ZZ", "no ISO 8601 time"),
    ("x" * 10_000, "x...' is no ISO 8601 time"),
    ("30.11.2026 22:47:23", "'30.11.2026 22:47:23' does not begin with the year"),
    ("11/30/2026", "does not begin with the year"),
    ("30-11-26 22:47", "does not begin with the year"),
    ("2026-02-30", "'2026-02-30' is a time that does not exist"),
    ("2026-02-30T10:00:00", "does not exist"),
    ("2026-11-30T25:00:00", "does not exist"),
    ("2026-11-30T24:00:01", "does not exist"),
    ("2026-11-30T12:60", "does not exist"),
    ("2026-11-30T12:00:61Z", "does not exist"),
    ("2026-11-30T12:00+24:00", "does not exist"),
    ("0000-01-01", "does not exist"),
    ("0001-01-01", "'0001-01-01' is beyond the years 1900 to 2261"),
    ("0001-01-01T00:00:00Z", "beyond the years"),
    ("0001-01-01T00:00:00+14:00", "beyond the years"),
    ("1796-07-25T23:45:00", "beyond the years"),
    ("9999-12-31T23:59:59-14:00", "beyond the years"),
    ("9999-12-31T24:00:00Z", "beyond the years"),
    (datetime.min.replace(tzinfo=UTC), "beyond the years"),
    (datetime.min, "beyond the years"),
    (datetime.max, "beyond the years"),
    (datetime.max.replace(tzinfo=timezone(timedelta(hours=-14))), "beyond the years"),
    (-1, "-1 is no time since 1970"),
    ("-1", "no time since 1970"),
    (-0.5, "no time since 1970"),
    (math.nan, "NaN is no time"),
    (math.inf, "infinity is no time"),
    (-math.inf, "-infinity is no time"),
    (1e300, "beyond the years"),
    (2**63, "beyond the years"),
    (10**5000, "a number of more than 40 digits is beyond the years"),
    ("1" * 5000, "is no time: number has too many digits"),
    ("99999999999999999999999", "is no time: number is beyond 64 bits"),
    (None, "null is no time"),
    (True, "true is no time"),
    (False, "false is no time"),
    ([1], "a list is no time"),
    ({}, "a map is no time"),
    (b"2026-11-30", "bytes is no time"),
]


@pytest.mark.parametrize(
    ("value", "words"), REFUSED, ids=lambda value: repr(value)[:30] if type(value) is not int else "n"
)
@pytest.mark.parametrize("format", [DEFAULT, BERLIN])
def test_what_is_no_time_is_refused_in_words(value: Any, words: str, format: TimeFormat) -> None:
    for read in (format.ns, format.ms, format.at):
        with pytest.raises(NoTime) as refused:
            read(value)
        assert words in str(refused.value)
        assert len(str(refused.value)) < 150


def test_a_number_that_no_unit_makes_sane_is_refused() -> None:
    for unit in PER_UNIT:
        with pytest.raises(NoTime):
            TimeFormat(unit=unit).ms(2**63 if unit == "ns" else 10**18 if unit != "s" else 10**11)


ZONES = st.sampled_from(
    [zone_of(name) for name in ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")]
)
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2261, 1, 1))


@given(MOMENTS, ZONES, st.integers(-720, 720), st.sampled_from(["auto", "seconds", "milliseconds"]))
def test_a_moment_is_the_same_however_it_is_written(naive: datetime, zone: ZoneInfo, minutes: int, spec: str) -> None:
    aware = naive.replace(tzinfo=UTC)
    format = TimeFormat(zone)
    kept = {"auto": 1, "seconds": 10**6, "milliseconds": 1000}[spec]
    said = aware.replace(microsecond=aware.microsecond - aware.microsecond % kept)
    for text in (
        said.astimezone(timezone(timedelta(minutes=minutes))).isoformat(timespec=spec),
        said.isoformat(" ", timespec=spec).replace("+00:00", "Z"),
    ):
        assert format.at(text) == said
    local = said.astimezone(zone)
    if local.fold == 0:
        assert format.at(local.replace(tzinfo=None).isoformat()) == said
    micros = (said - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    for unit, per_unit in (("us", 1), ("ms", 1000), ("s", 10**6), ("ns", 0)):
        value = micros * 1000 if unit == "ns" else micros // per_unit
        exact = said if unit == "ns" else said - timedelta(microseconds=micros % per_unit)
        for number in (value, str(value)):
            assert TimeFormat(zone, unit).at(number) == exact  # type: ignore[arg-type]


@given(st.integers(FIRST.year - 70, 10**13 // 4))
def test_seconds_with_a_fraction_keep_their_milliseconds(ms: int) -> None:
    ms = abs(ms)
    for said in (ms / 1000, f"{ms / 1000:.3f}"):
        assert TimeFormat(unit="s").ms(said) == ms


@given(
    st.one_of(
        st.text(max_size=40),
        st.integers(),
        st.floats(),
        st.datetimes(),
        st.from_regex(r"\A\d{4}-\d\d-\d\d[T ][\d:.,+Z-]{0,15}\Z"),
    )
)
def test_whatever_comes_is_read_within_the_bounds_or_refused_in_words(value: Any) -> None:
    for format in (DEFAULT, BERLIN, TimeFormat(unit="s")):
        found = words = None
        try:
            found = format.at(value)
        except NoTime as refused:
            words = str(refused)
        if found is None:
            assert words is not None
            assert 10 < len(words) < 150
        else:
            assert FIRST <= found <= LAST
            assert format.ms(value) == format.ns(value) // 10**6


def test_a_name_that_is_no_zone_is_refused_whatever_stands_in_the_place() -> None:
    for name in ("Europe", "Mars/Base", "", "../x", "/etc/passwd", "\0", "Europe/Berlin "):
        with pytest.raises(Invalid, match="is not a time zone"):
            zone_of(name)
