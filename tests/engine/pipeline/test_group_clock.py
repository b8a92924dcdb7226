"""The clock of a group: never ahead of what has arrived, whatever devices claim. Against a plain recomputation."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubqueue.pipeline import late as lates
from hubqueue.pipeline.fields import Field
from hubqueue.pipeline.late import MINUTE_S, MOST, Late
from hubqueue.pipeline.period import Period
from hubqueue.pipeline.record import Record, Refused
from hubqueue.pipeline.state import StepState
from hubqueue.pipeline.times import TimeField
from hubqueue.pipeline.window import Window, WindowSettings

NOW_MS = 1_800_000_000_000
EVERY_MS, LATENESS_MS, AHEAD_MS = 10_000, 3000, 60_000

Windows = Counter[tuple[str, int]]  # group and start: readings


class Reading(NamedTuple):
    """Units: milliseconds, of NOW_MS."""

    group: str
    told: int
    arrived: int


def window(**more: Any) -> Window:
    settings = {"lateness_ms": LATENESS_MS, "ahead_ms": AHEAD_MS, **more}
    return Window(WindowSettings(period=Period(EVERY_MS), by=(Field("group"),), time=TimeField(Field("t")), **settings))


def run(readings: list[Reading], *, batch: int = 1, quiet_ms: int = 0) -> tuple[Windows, int, int]:
    """The windows that come out, how many were late, and how many refused, when they are run as they arrive.

    quiet_ms: the wall clock closes what is due whenever so much has passed without a reading.
    """
    step, state = window(), StepState("n")
    found: Windows = Counter()
    refused = 0

    def close(now_ms: int, *, waiting: bool) -> None:
        for record in step.close(now_ms, state, waiting=waiting):
            found[record.data["group"], record.data["start_ms"] - NOW_MS] += record.data["count"]

    before = 0
    for number, reading in enumerate(readings):
        if quiet_ms and reading.arrived - before > quiet_ms:
            close(NOW_MS + reading.arrived - 1, waiting=False)
        before = reading.arrived
        data = {"group": reading.group, "t": NOW_MS + reading.told}
        try:
            step.run(Record(data, "r", NOW_MS + reading.arrived, str(number)), state)
        except Refused:
            refused += 1
        if number % batch == batch - 1:
            close(NOW_MS + reading.arrived, waiting=True)
            state.kept()
    while (due_ms := step.due_ms(state)) is not None:
        close(max(due_ms, NOW_MS + before), waiting=False)
    assert step.open_count(state) == 0
    return found, step.late.count, refused


def expected(readings: list[Reading], batch: int, quiet_ms: int) -> tuple[Windows, int, int]:
    """The same worked out plainly: a list of open windows and a clock for each group, and every rule as one line."""
    made: Windows = Counter()
    open_: dict[str, Windows] = {}
    clock: dict[str, int] = {}
    heard: dict[str, int] = {}
    floor: dict[str, int] = {}
    late = refused = 0
    fresh: set[str] = set()

    def close(group: str, time: int) -> None:
        for start in sorted(each for _, each in open_[group]):
            if start + EVERY_MS + LATENESS_MS <= time:
                made[group, start] += open_[group].pop((group, start))
                floor[group] = max(floor.get(group, -(10**12)), start + EVERY_MS)

    def note(now: int) -> None:
        for group in fresh:
            heard[group] = now
        fresh.clear()

    def fall_silent(now: int) -> None:
        note(now)
        for group in list(open_):
            close(group, clock[group] + max(0, now - heard[group]))

    before = 0
    for number, (group, told, arrived) in enumerate(readings):
        if quiet_ms and arrived - before > quiet_ms:
            note(arrived - 1)
            for each in list(open_):
                close(each, clock[each])
            fall_silent(arrived - 1)
        before = arrived
        time = min(told, arrived)
        start = told - told % EVERY_MS
        passed = clock[group] if open_.get(group) else time
        if told > arrived + AHEAD_MS:
            refused += 1
        elif start + EVERY_MS <= floor.get(group, -(10**12)) or start + EVERY_MS + LATENESS_MS <= passed:
            late += 1
        else:
            if not open_.get(group) or time > clock[group]:
                fresh.add(group)
            heard.setdefault(group, arrived)
            clock[group] = max(passed, time)
            open_.setdefault(group, Counter())[group, start] += 1
        if number % batch == batch - 1:
            note(arrived)
            for each in list(open_):
                close(each, clock[each])
    for windows in open_.values():
        made += windows
    return made, late, refused


@st.composite
def histories(draw: st.DrawFn) -> list[Reading]:
    """Devices with clocks that are right, behind and ahead; out of order, twice, kept back, and with silences."""
    arrived = 0
    found: list[Reading] = []
    offset = {"a": 0, "b": -40_000, "c": 30_000}
    for _ in range(draw(st.integers(1, 60))):
        arrived += draw(st.sampled_from([0, 100, 1000, 4000, 15_000]))
        group = draw(st.sampled_from("abc"))
        wrong = draw(st.sampled_from([0, 0, 0, -500, -2000, -8000, -25_000, 500, 45_000, 70_000]))
        reading = Reading(group, arrived + offset[group] + wrong, arrived)
        found += [reading] * draw(st.sampled_from([1, 1, 1, 2]))
    return found


@given(histories(), st.sampled_from([1, 3, 10]), st.sampled_from([0, 5000]))
def test_windows_are_what_a_plain_recomputation_says(readings: list[Reading], batch: int, quiet_ms: int) -> None:
    assert run(readings, batch=batch, quiet_ms=quiet_ms) == expected(readings, batch, quiet_ms)


@given(histories(), st.lists(st.tuples(st.integers(0, 59), st.integers(1, AHEAD_MS)), max_size=10))
def test_readings_of_the_future_change_nothing_of_the_others(
    readings: list[Reading], future: list[tuple[int, int]]
) -> None:
    """Whatever is claimed, the windows of those that tell the truth stay as they are, and nothing more is late."""
    honest = [Reading("a", each.arrived - (each.told % 2500), each.arrived) for each in readings]
    whole: Windows = Counter((each.group, each.told - each.told % EVERY_MS) for each in honest)
    assert run(honest) == (whole, 0, 0)
    mixed = list(honest)
    for at, ahead in future:
        place = honest[at % len(honest)]
        mixed.insert(mixed.index(place), Reading("a", place.arrived + ahead, place.arrived))
    added = Counter(("a", each.told - each.told % EVERY_MS) for each in mixed) - whole
    found, late, refused = run(mixed)
    assert (found, late, refused) == (whole + added, 0, 0)


def test_one_reading_nine_minutes_ahead_drops_nobody() -> None:
    """The case that was found: 600 readings, one a second; the 31st claims to be of nine minutes later."""
    step, state = window(ahead_ms=600_000, lateness_ms=5000), StepState("n")
    counts: Counter[str] = Counter()
    for second in range(600):
        for group in ("wild", "tame"):
            told = second * 1000 + (540_000 if (group, second) == ("wild", 30) else 0)
            record = Record({"group": group, "t": NOW_MS + told}, "r", NOW_MS + second * 1000, f"{group}{second}")
            step.run(record, state)
        for record in step.close(NOW_MS + second * 1000, state):
            counts[record.data["group"]] += record.data["count"]
    while (due_ms := step.due_ms(state)) is not None:
        for record in step.close(due_ms, state):
            counts[record.data["group"]] += record.data["count"]
    assert counts == {"wild": 600, "tame": 600}
    assert step.late.count == 0


def test_a_whole_number_is_one_group_however_it_is_written() -> None:
    step, state = window(), StepState("n")
    for value in (1, 1.0, 1.5, "1", True, -0.0, 0):
        step.run(Record({"group": value, "t": NOW_MS}, "r", NOW_MS, str(value)), state)
    found: list[Record] = []
    while (due_ms := step.due_ms(state)) is not None:
        found += step.close(due_ms, state)
    assert {(repr(each.data["group"]), each.data["count"]) for each in found} == {
        ("1", 2), ("1.5", 1), ("'1'", 1), ("True", 1), ("0", 2),
    }  # fmt: skip


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, int]]:
    found = [(str(each.args[1]), int(str(each.args[2]))) for each in caplog.records if isinstance(each.args, tuple)]
    caplog.clear()
    return found


def test_late_drops_are_told_once_for_a_group_and_minute(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, lates.__name__)
    late = Late()
    for second in range(130):
        for group in ("a",) if second % 2 else ("a", "b"):
            late.add(group, dropped=True)
        late.settle()
        late.tell("p", 1000.0 + second)
        if second == 59:
            assert told(caplog) == [("a", 1), ("b", 1)]
    assert told(caplog) == [("a", 60), ("b", 30), ("a", 60), ("b", 30)]
    assert late.count == 195


def test_many_groups_that_are_late_share_a_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, lates.__name__)
    late = Late()
    for number in range(1000):
        late.add(f"d{number}", dropped=True)
    late.settle()
    late.tell("p", 0.0)
    found = told(caplog)
    assert len(found) == MOST + 1
    assert sum(count for _, count in found) == 1000
    late.add("another", dropped=True)
    late.settle()
    late.tell("p", MINUTE_S)
    assert told(caplog) == [("another", 1)]


def test_what_is_undone_was_not_late_and_what_goes_elsewhere_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, lates.__name__)
    late = Late()
    late.add("a", dropped=True)
    late.undo()
    late.add("a", dropped=False)
    assert (late.settle(), late.count) == (1, 1)
    late.tell("p", 0.0)
    assert told(caplog) == []
