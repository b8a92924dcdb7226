"""When schedules fire: patterns, seconds, time zones, daylight saving, intervals in phase."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from hubqueue.errors import Invalid
from hubqueue.model.schedule import Schedule, check_schedule, first_run_ms, next_match_ms, next_run_ms

BERLIN = ZoneInfo("Europe/Berlin")


def ms(text: str, zone: str = "UTC") -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def local(at_ms: int | None) -> str:
    assert at_ms is not None
    return datetime.fromtimestamp(at_ms / 1000, BERLIN).isoformat()


@pytest.mark.parametrize(
    ("pattern", "after", "expected"),
    [
        ("*/5 * * * *", "2026-11-22T10:02:30", "2026-11-22T10:05:00"),
        ("*/5 * * * *", "2026-11-22T10:05:00", "2026-11-22T10:10:00"),
        ("*/10 * * * * *", "2026-11-22T10:05:01", "2026-11-22T10:05:10"),
        ("30 4 1 * *", "2026-11-22T00:00:00", "2026-12-01T04:30:00"),
        ("0 0 29 2 *", "2026-11-22T00:00:00", "2028-02-29T00:00:00"),
        ("0 12 * * mon-fri", "2026-11-22T00:00:00", "2026-11-23T12:00:00"),
        ("0 0 * * 7", "2026-11-22T00:00:01", "2026-11-29T00:00:00"),
        ("@hourly", "2026-11-22T10:02:30", "2026-11-22T11:00:00"),
        ("@Daily", "2026-11-22T10:02:30", "2026-11-23T00:00:00"),
    ],
)
def test_a_pattern_matches_next(pattern: str, after: str, expected: str) -> None:
    assert next_match_ms(pattern, "UTC", ms(after)) == ms(expected)


@pytest.mark.parametrize(
    "pattern", ["", "* * * *", "* * * * * * *", "61 * * * *", "a b c d e", "@every 5m", "* * 31 2 x"]
)
def test_a_bad_pattern_is_refused_with_the_protocols_text(pattern: str) -> None:
    with pytest.raises(Invalid, match=r"^Invalid cron expression: "):
        next_match_ms(pattern, "UTC", 0)


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(Invalid, match="unknown time zone 'Mars/Base'"):
        next_match_ms("* * * * *", "Mars/Base", 0)


def test_a_pattern_that_never_matches_is_refused() -> None:
    with pytest.raises(Invalid, match="no future occurrences"):
        check_schedule(Schedule(key="s", queue="q", cron="* * */20 * 1L"))


def test_an_hour_that_daylight_saving_skips_fires_right_after_it() -> None:
    before = ms("2027-03-28T01:59:00", "Europe/Berlin")
    assert local(next_match_ms("30 2 * * *", "Europe/Berlin", before)) == "2027-03-28T03:00:00+02:00"


def test_an_hour_that_comes_twice_fires_once() -> None:
    first = next_match_ms("30 2 * * *", "Europe/Berlin", ms("2026-10-25T00:00:00", "Europe/Berlin"))
    assert local(first) == "2026-10-25T02:30:00+02:00"
    assert local(next_match_ms("30 2 * * *", "Europe/Berlin", first or 0)) == "2026-10-26T02:30:00+01:00"


def test_an_interval_keeps_its_phase_and_skips_what_was_missed() -> None:
    every = Schedule(key="s", queue="q", every_ms=1000)
    assert first_run_ms(every, 5_300) == 6_300
    assert next_run_ms(every, 6_300, 6_310) == 7_300
    assert next_run_ms(every, 6_300, 9_900) == 10_300
    assert first_run_ms(Schedule(key="s", queue="q", every_ms=1000, immediately=True), 5_300) == 5_300


@pytest.mark.parametrize(
    "bad",
    [
        Schedule(key="", queue="q", every_ms=1),
        Schedule(key="s" * 257, queue="q", every_ms=1),
        Schedule(key="s", queue="q", every_ms=0),
        Schedule(key="s", queue="", every_ms=1),
        Schedule(key="s", queue="q"),
        Schedule(key="s", queue="q", name="", every_ms=1),
    ],
)
def test_a_bad_schedule_is_refused(bad: Schedule) -> None:
    with pytest.raises(Invalid):
        check_schedule(bad)
