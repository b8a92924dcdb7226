"""window: spans of time for each group, closed by the group's own clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubqueue.pipeline.aggregate import Measure
from hubqueue.pipeline.fields import fields
from hubqueue.pipeline.period import DAY_MS, Period
from hubqueue.pipeline.record import Record, Refused
from hubqueue.pipeline.state import StepState
from hubqueue.pipeline.step import CLOSED, Memory, State
from hubqueue.pipeline.times import TimeField
from hubqueue.pipeline.window import Window, WindowSettings

MINUTE = 60_000
NOW = 1_800_000_000_000  # a whole minute


def measure(field: str, *aggregates: str) -> Measure:
    return Measure(fields([field])[0], aggregates)


def window(every_ms: int = MINUTE, *measures: Measure, by: Sequence[str] = ("device",), **more: Any) -> Window:
    (time,) = fields(["t"])
    settings = {"time": TimeField(time), "lateness_ms": 5000, **more}
    return Window(WindowSettings(period=Period(every_ms), by=fields(by), measures=measures, **settings))


def reading(device: str, t: float, at_ms: int | None = None, **values: Any) -> Record:
    """t: seconds after NOW; it arrives then, unless said otherwise."""
    t_ms = NOW + round(t * 1000)
    return Record({"device": device, "t": t_ms, **values}, "r", t_ms if at_ms is None else at_ms, f"{device}-{t}")


def feed(step: Window, state: State, records: Iterable[Record]) -> None:
    for record in records:
        assert step.run(record, state) == ()


def rest(step: Window, state: State) -> list[dict[str, Any]]:
    """What closes when nothing more comes."""
    found: list[dict[str, Any]] = []
    while (due := step.due_ms(state)) is not None:
        found += [record.data for record in step.close(due, state)]
    return found


def closed(step: Window, state: State, s: float, **more: bool) -> list[dict[str, Any]]:
    """What closes at so many seconds after NOW."""
    return [record.data for record in step.close(NOW + round(s * 1000), state, **more)]


def test_a_window_gives_its_group_its_span_and_its_aggregates() -> None:
    step, state = (
        window(MINUTE, measure("v", "min", "max", "mean", "sum", "count", "first", "last", "stddev")),
        Memory(),
    )
    feed(step, state, [reading("a", s, v=v) for s, v in ((0, 2), (30, 4), (10, 9), (59.999, 5))])
    assert closed(step, state, 60) == []
    assert closed(step, state, 64.9) == []
    assert closed(step, state, 65.1) == [
        {
            "device": "a", "start_ms": NOW, "end_ms": NOW + MINUTE, "count": 4, "v_min": 2, "v_max": 9, "v_mean": 5.0,
            "v_sum": 20, "v_count": 4, "v_first": 2, "v_last": 5, "v_stddev": pytest.approx(2.9439202887759490),
        }
    ]  # fmt: skip
    assert step.open_count(state) == 0
    assert step.due_ms(state) is None


def test_the_same_records_give_the_same_ids() -> None:
    ids = []
    for _ in range(2):
        step, state = window(), Memory()
        feed(step, state, [reading("a", 1), reading("b", 2)])
        step.close(NOW, state)
        ids.append([(record.id, record.at_ms) for record in step.close(NOW + 2 * MINUTE, state)])
    assert ids[0] == ids[1]
    assert len({id for id, _ in ids[0]}) == 2
    assert {at_ms for _, at_ms in ids[0]} == {NOW}


def test_a_later_record_of_the_group_closes_its_windows_and_nobody_elses() -> None:
    step, state = window(), Memory()
    feed(step, state, [reading("a", 1), reading("b", 2), reading("a", 64.9)])
    assert closed(step, state, 0) == []
    feed(step, state, [reading("a", 65)])
    assert [each["device"] for each in closed(step, state, 0, waiting=True)] == ["a"]
    assert step.open_count(state) == 2


def test_a_group_that_falls_silent_is_closed_by_the_hubs_clock() -> None:
    step, state = window(), Memory()
    feed(step, state, [reading("a", 10)])
    assert closed(step, state, 11) == []
    due_ms = step.due_ms(state)
    assert due_ms == NOW + MINUTE + 5000 + 1000  # a second passed between its time and its run
    assert closed(step, state, 65.9) == []
    assert closed(step, state, 66, waiting=True) == []  # its next record may wait already
    assert len(closed(step, state, 66)) == 1


def test_a_device_whose_clock_is_behind_has_whole_windows() -> None:
    step, state = window(MINUTE, measure("v", "sum")), Memory()
    given: list[dict[str, Any]] = []
    for number in range(10):  # one reading in 30 s, an hour behind
        feed(step, state, [reading("a", number * 30 - 3600, NOW + number * 30_000, v=1)])
        given += closed(step, state, number * 30)
    given += rest(step, state)
    assert [each["v_sum"] for each in given] == [2] * 5
    assert step.late.count == 0


def test_what_was_kept_during_an_outage_comes_into_whole_windows() -> None:
    step, state = window(MINUTE, measure("v", "sum")), Memory()
    given: list[dict[str, Any]] = []
    for number in range(3600):  # an hour in 36 s
        feed(step, state, [reading("a", number - 3600, NOW + number * 10, v=1)])
        if number % 100 == 99:
            given += closed(step, state, number * 0.01)
    given += rest(step, state)
    assert [each["v_sum"] for each in given] == [60] * 60


@pytest.mark.parametrize("policy", ["drop", "dead-letter", "queue"])
def test_what_is_late_is_dropped_refused_or_set_aside(policy: Any) -> None:
    step, state = window(late=policy, late_queue="late"), Memory()
    feed(step, state, [reading("a", 10), reading("a", 65)])
    feed(step, state, [reading("b", 10)])  # another group is not late
    late = reading("a", 59, NOW + 66_000)
    if policy == "dead-letter":
        with pytest.raises(Refused, match=r"too late: its window ended at 2027-01-15T08:01:00\.000Z"):
            step.run(late, state)
    else:
        found = list(step.run(late, state))
        assert [(record.aside, record.data) for record in found] == ([] if policy == "drop" else [("late", late.data)])
    assert step.late.count == 1


def test_within_the_lateness_older_records_count() -> None:
    step, state = window(), Memory()
    feed(step, state, [reading("a", 10), reading("a", 64.9), reading("a", 59)])
    assert [each["count"] for each in rest(step, state)] == [2, 1]


def test_a_closed_window_stays_closed_when_nothing_is_open() -> None:
    step, state = window(), Memory()
    feed(step, state, [reading("a", 10)])
    assert len(rest(step, state)) == 1
    assert step.run(reading("a", 20), state) == ()
    assert step.late.count == 1
    feed(step, state, [reading("a", 60)])
    assert step.open_count(state) == 1


def test_a_time_far_ahead_is_refused_and_closes_nothing() -> None:
    step, state = window(), Memory()
    feed(step, state, [reading("a", 10)])
    with pytest.raises(Refused, match="too far ahead"):
        step.run(reading("a", 601 + 10, NOW + 10_000), state)
    assert closed(step, state, 11) == []
    feed(step, state, [reading("a", 600, NOW)])


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"t": NOW, "v": 1}, "device, which it is grouped by, is not there"),
        ({"device": None, "t": NOW}, "device, which it is grouped by, is null"),
        ({"device": ["a"], "t": NOW}, "cannot be grouped by device, which is list"),
        ({"device": float("inf"), "t": NOW}, "cannot be grouped"),
        ({"device": "x" * 600, "t": NOW}, "longer than 512"),
        ({"device": "\ud800", "t": NOW}, "no valid text"),
        ({"device": "a"}, "t, its time, is not there"),
        ({"device": "a", "t": "yesterday"}, "time"),
        ({"device": "a", "t": True}, "time"),
        ({"device": "a", "t": NOW, "v": "12"}, "v is no number"),
        ({"device": "a", "t": NOW, "v": True}, "v is no number"),
        ({"device": "a", "t": NOW, "v": float("nan")}, "v is no number"),
        ({"device": "a", "t": NOW, "v": 1, "label": "x" * 2000}, "label is larger"),
    ],
)
def test_what_cannot_be_counted_is_refused_and_changes_nothing(data: Any, why: str) -> None:
    step, state = window(MINUTE, measure("v", "mean"), measure("label", "last")), StepState("n")
    with pytest.raises(Refused) as refused:
        step.run(Record(data, "r", NOW, "1"), state)
    assert why in refused.value.reason.replace("a list", "list")
    assert state.changes() == []


def test_a_missing_value_takes_no_part() -> None:
    step, state = window(MINUTE, measure("v", "mean", "count", "p50"), measure("w", "sum", "min", "last")), Memory()
    feed(step, state, [reading("a", 1, v=4), reading("a", 2, v=None), reading("a", 3)])
    (found,) = rest(step, state)
    assert (found["count"], found["v_count"], found["v_mean"], found["v_p50"]) == (3, 1, 4.0, 4.0)
    assert (found["w_sum"], found["w_min"], found["w_last"]) == (0, None, None)


def test_times_of_all_forms_and_of_arrival() -> None:
    step, state = window(by=()), Memory()
    at = datetime.fromtimestamp(NOW / 1000, UTC)
    for t in (NOW, NOW / 1000, at.isoformat(), at.strftime("%Y-%m-%dT%H:%M:%SZ"), at):
        feed(step, state, [Record({"t": t}, "r", NOW, "1")])
    assert [(each["start_ms"], each["count"]) for each in rest(step, state)] == [(NOW, 5)]
    arrival = window(by=(), time=None)
    feed(arrival, state := Memory(), [Record({}, "r", NOW + 1, "1")])
    assert [each["start_ms"] for each in rest(arrival, state)] == [NOW]


def test_windows_of_days_follow_the_clocks_of_a_zone() -> None:
    zone = ZoneInfo("Europe/Berlin")
    for day, hours in (("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)):
        noon = round(datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=zone).timestamp() * 1000)
        start, end = Period(DAY_MS, zone).span(noon)
        assert (end - start) // 3_600_000 == hours
        assert datetime.fromtimestamp(start / 1000, zone).strftime("%Y-%m-%d %H:%M") == f"{day} 00:00"
        assert Period(DAY_MS, zone).span(start)[0] == Period(DAY_MS, zone).span(end - 1)[0] == start
        assert Period(DAY_MS, zone).span(end)[0] == end
    assert Period(DAY_MS).span(NOW)[0] % DAY_MS == 0
    assert Period(3_600_000, zone).span(NOW)[0] % 3_600_000 == 0


def test_so_many_windows_and_no_more() -> None:
    step, state = window(max_open=3), Memory()
    feed(step, state, [reading(device, 1) for device in "abc"])
    with pytest.raises(Refused, match="3 groups"):
        step.run(reading("d", 1), state)
    feed(step, state, [reading("a", 2)])
    assert len(rest(step, state)) == 3
    feed(step, state, [reading("d", 100)])  # a group that is idle makes room
    assert step.open_count(state) == 1


def test_who_was_refused_takes_no_room() -> None:
    step, state = window(max_open=3, lateness_ms=1_000_000), Memory()
    feed(step, state, [reading("a", s) for s in (0, 60, 120)])
    for device in "bcdefg":
        with pytest.raises(Refused, match="3 windows are open already"):
            step.run(reading(device, 1), state)
    assert len(rest(step, state)) == 3
    feed(step, state, [reading("b", 200), reading("c", 200)])
    assert step.open_count(state) == 2
    assert step.run(reading("a", 1), state) == ()  # it is known still, so this is late
    assert (step.late.count, step.open_count(state)) == (1, 2)


def test_windows_of_one_group_are_bounded() -> None:
    step, state = window(1000, lateness_ms=10_000_000), Memory()
    feed(step, state, [reading("a", s) for s in range(100)])
    with pytest.raises(Refused, match="100 windows are open already"):
        step.run(reading("a", 100), state)


def test_one_device_may_send_a_day_of_windows_at_once() -> None:
    step, state = window(), Memory()
    feed(step, state, [reading("a", number * 60, NOW) for number in range(-1000, 0)])
    assert [each["count"] for each in rest(step, state)] == [1] * 1000


def test_many_windows_close_in_slices() -> None:
    step, state = window(), Memory()
    feed(step, state, [reading(str(number), 1) for number in range(2 * CLOSED + 1)])
    counts = []
    now = NOW + 10 * MINUTE
    step.close(NOW, state)
    while (due := step.due_ms(state)) is not None and due <= now:
        counts.append(len(list(step.close(now, state))))
    assert counts == [CLOSED, CLOSED, 1]


def test_a_jump_of_the_clock_closes_nothing_early_and_holds_nothing_back() -> None:
    for jump in (86_400_000, -86_400_000):
        step, state = window(), Memory()
        feed(step, state, [reading("a", 10)])
        assert closed(step, state, 10) == []
        step.shift(jump, state)
        assert closed(step, state, 64.9 + jump / 1000) == []
        assert len(closed(step, state, 65 + jump / 1000)) == 1


def test_after_a_start_with_a_clock_far_behind_windows_still_close() -> None:
    step, state = window(), Memory()
    feed(step, state, [reading("a", 10)])
    step.close(NOW + 10_000, state)
    again = window()
    day = -86_400
    assert closed(again, state, day) == []
    assert len(closed(again, state, day + 55)) == 1


def test_what_is_undone_was_never_there_and_what_is_kept_is_read_back() -> None:
    step, state = window(MINUTE, measure("v", "sum", "median", "last")), StepState("n")
    feed(step, state, [reading("a", 1, v=1), reading("b", 1, v=7)])
    step.close(NOW + 1000, state)
    blobs = {blob.key: blob.value for blob in state.changes()}
    state.kept()
    feed(step, state, [reading("a", 70, v=100), reading("a", 2, v=100), reading("c", 1, v=1)])
    assert len(list(step.close(NOW + 70_000, state))) == 2
    state.undo()
    assert state.changes() == []
    assert step.open_count(state) == 2
    again = StepState("n")
    again._kept = {key: msgspec.msgpack.decode(value) for key, value in blobs.items() if value is not None}
    for each, of in ((step, state), (window(MINUTE, measure("v", "sum", "median", "last")), again)):
        feed(each, of, [reading("a", 3, v=2)])
        found = [*each.close(NOW + 3000, of), *each.close(NOW + 70_000, of)]
        assert sorted((r.data["device"], r.data["v_sum"], r.data["v_median"], r.data["v_last"]) for r in found) == [
            ("a", 3, 1.5, 2),
            ("b", 7, 7, 7),
        ]
    assert [blob.key for blob in again.changes() if blob.value is not None] == ['g:["a"]', 'g:["b"]']  # no values left


def test_one_record_rewrites_little_however_much_a_window_holds() -> None:
    step, state = window(3_600_000, measure("v", "p50", "mean")), StepState("n")
    feed(step, state, [reading("a", s * 0.01, v=s) for s in range(5000)])
    state.changes()
    state.kept()
    feed(step, state, [reading("a", 60, v=1)])
    assert sum(len(blob.value or b"") for blob in state.changes()) < 1000


records = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 300), st.integers(-50, 50)), min_size=1, max_size=60)


@given(records, st.integers(1, 7), st.randoms(use_true_random=False))
def test_every_record_is_in_just_one_window_or_late_however_they_come(
    found: list[tuple[str, int, int]], size: int, random: Any
) -> None:
    step, state = window(MINUTE, measure("v", "sum")), StepState("n")
    given: list[Record] = []
    for start in range(0, len(found), size):
        for device, s, v in found[start : start + size]:
            step.run(reading(device, s, NOW + 300_000, v=v), state)
        given += step.close(NOW + 300_000 + start * random.randint(0, 5000), state, waiting=random.random() < 0.5)
        if random.random() < 0.3:
            state.changes()
        state.kept()
    while (due := step.due_ms(state)) is not None:
        given += step.close(due, state)
    assert sum(record.data["count"] for record in given) + step.late.count == len(found)
    assert len({record.id for record in given}) == len(given)
    assert step.open_count(state) == 0
    if not step.late.count:
        assert sum(record.data["v_sum"] for record in given) == sum(v for _, _, v in found)
