"""Hours: windows of the week in local time."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubqueue.errors import Invalid
from hubqueue.model.hours import Hours, Span

BERLIN = "Europe/Berlin"


def at(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def span(now: str, *windows: str, zone: str = "UTC") -> tuple[bool, str | None]:
    found = Hours(windows, zone).calendar().at(at(now, zone))
    until = found.until_ms
    told = None if until is None else datetime.fromtimestamp(until / 1000, ZoneInfo(zone))
    return found.open, None if told is None else told.strftime("%a %H:%M")


def test_a_window_of_the_day_opens_and_closes() -> None:
    assert span("2026-11-22 11:59", "12:00-13:30") == (False, "Sun 12:00")
    assert span("2026-11-22 12:00", "12:00-13:30") == (True, "Sun 13:30")
    assert span("2026-11-22 13:30", "12:00-13:30") == (False, "Mon 12:00")


def test_a_window_over_midnight_is_open_on_both_sides() -> None:
    assert span("2026-11-22 21:59", "22:00-06:00") == (False, "Sun 22:00")
    assert span("2026-11-22 23:00", "22:00-06:00") == (True, "Mon 06:00")
    assert span("2026-11-23 05:59", "22:00-06:00") == (True, "Mon 06:00")
    assert span("2026-11-23 06:00", "22:00-06:00") == (False, "Mon 22:00")


def test_days_are_those_a_window_starts_on() -> None:
    assert span("2026-11-21 01:00", "mon-fri 22:00-06:00") == (True, "Sat 06:00")
    assert span("2026-11-21 23:00", "mon-fri 22:00-06:00") == (False, "Mon 22:00")
    assert span("2026-11-22 09:00", "Sat, Sun 8:00-20:00") == (True, "Sun 20:00")
    assert span("2026-11-22 09:00", "sat-mon 08:00-20:00") == (True, "Sun 20:00")


def test_windows_that_touch_are_one() -> None:
    assert span("2026-11-22 11:00", "10:00-12:00", "12:00-14:00", "13:00-15:00") == (True, "Sun 15:00")
    assert span("2026-11-22 11:00", "00:00-24:00")[0]


def test_local_time_follows_the_clocks() -> None:
    # on 2026-10-25 Berlin has the hour from 02:00 twice, on 2026-03-29 it has none
    night = Hours(("01:00-04:00",), BERLIN).calendar()
    autumn = night.at(at("2026-10-25 01:30", BERLIN))
    assert autumn == Span(True, at("2026-10-25 03:00", "UTC"))
    spring = night.at(at("2026-03-29 01:30", BERLIN))
    assert spring == Span(True, at("2026-03-29 02:00", "UTC"))
    skipped = Hours(("02:00-02:30",), BERLIN).calendar()
    assert skipped.at(at("2026-03-29 00:30", BERLIN)).open is False


def test_without_a_zone_the_hubs_holds() -> None:
    hours = Hours(("12:00-13:00",))
    noon = at("2026-11-22 12:00", BERLIN)
    assert hours.calendar(BERLIN).at(noon).open
    assert not hours.calendar().at(noon).open


@pytest.mark.parametrize(
    ("window", "what"),
    [
        ("22:00", "is not a window"),
        ("25:00-26:00", "a time that does not exist"),
        ("10:60-11:00", "a time that does not exist"),
        ("10:00-10:00", "no length"),
        ("24:00-01:00", "starts at 24:00"),
        ("someday 10:00-11:00", "names a day"),
        ("mon- 10:00-11:00", "names a day"),
        ("", "is not a window"),
    ],
)
def test_what_is_no_window_is_refused_with_an_example(window: str, what: str) -> None:
    with pytest.raises(Invalid, match=what) as caught:
        Hours((window,)).calendar()
    assert caught.value.hint


def test_an_unknown_zone_and_an_empty_list_are_refused() -> None:
    with pytest.raises(Invalid, match="time zone"):
        Hours(("10:00-11:00",), "Mars/Olympus").calendar()
    with pytest.raises(Invalid, match="at least one window"):
        Hours(()).calendar()
    with pytest.raises(Invalid, match="at most"):
        Hours(("10:00-11:00",) * 51).calendar()


@given(
    start=st.integers(0, 1439),
    length=st.integers(1, 1440),
    now=st.integers(at("2020-01-01 00:00"), at("2030-01-01 00:00")),
)
def test_a_window_is_open_exactly_in_its_minutes(start: int, length: int, now: int) -> None:
    end = (start + length) % 1440 if length < 1440 else start
    if start == end:
        return
    window = f"{start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}"
    found = Hours((window,), "UTC").calendar().at(now)
    moment = datetime.fromtimestamp(now / 1000, UTC)
    minute = moment.hour * 60 + moment.minute
    assert found.open == ((minute - start) % 1440 < (end - start) % 1440)
    assert found.until_ms is not None
    assert now < found.until_ms <= now + 86_400_000
    assert Hours((window,), "UTC").calendar().at(found.until_ms).open != found.open
