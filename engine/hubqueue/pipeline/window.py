"""window: one record out of the records of each time span and group, when the span is over.

Each group (a device, say) has a clock of its own: the latest time that its records have told, but of each no later
than it arrived, and from there on it goes like the hub's. A window closes once this clock is `lateness` past its end.
So a device whose clock is behind, or that sends what it kept during an outage, closes nobody's windows but its own; a
reading that claims to be of the future is counted in a window of the future and closes none before its time; and a
group that falls silent closes by the hub's time, after a restart too. What comes for a closed window is late.

Rule: run never gives a window's record, close does. Both see time only as records and the caller tell it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, Protocol

import msgspec

from hubqueue.expression import MISSING, is_number, whole
from hubqueue.model.kinds import kind_of
from hubqueue.pipeline.aggregate import NOTHING, Kept, Measure
from hubqueue.pipeline.fields import Field
from hubqueue.pipeline.late import Late
from hubqueue.pipeline.openwindows import Group, OpenWindows, Span
from hubqueue.pipeline.period import Period
from hubqueue.pipeline.record import Record, Refused
from hubqueue.pipeline.samples import Samples
from hubqueue.pipeline.step import CLOSED, State
from hubqueue.pipeline.times import TimeField

LATENESS_MS: Final = 5000
AHEAD_MS: Final = 600_000
MAX_OPEN: Final = 20_000
MAX_SPANS: Final = 100  # of one group at once; they are written together
MAX_GROUP_CHARS: Final = 512

LatePolicy = Literal["drop", "dead-letter", "queue"]
_encode: Final = msgspec.json.Encoder().encode


class Shape(msgspec.Struct, frozen=True):
    """What an open window depends on, as it is stored. measures: fields, and the aggregates of each."""

    period: str
    by: tuple[str, ...]
    time: str | None
    measures: tuple[tuple[str, tuple[str, ...]], ...]

    def settings(self) -> WindowSettings:
        """Those of windows that are only handed over: they open no more."""
        measures = tuple(Measure(Field(text), aggregates) for text, aggregates in self.measures)
        return WindowSettings(period=Period(1), by=tuple(map(Field, self.by)), measures=measures)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSettings:
    """Units: milliseconds. time None: when the record arrived. late_queue: where late ones go if late is `queue`.

    ahead_ms: a record whose time is so far after its arrival is refused. max_open: windows at once, of all groups.
    """

    period: Period
    by: tuple[Field, ...] = ()
    time: TimeField | None = None
    lateness_ms: int = LATENESS_MS
    ahead_ms: int = AHEAD_MS
    late: LatePolicy = "drop"
    late_queue: str | None = None
    measures: tuple[Measure, ...] = ()
    max_open: int = MAX_OPEN

    @property
    def shape(self) -> str:
        """What an open window depends on, as JSON: with another one it cannot go on."""
        by = tuple(each.text for each in self.by)
        time = None if self.time is None else str(self.time)
        measures = tuple((each.field.text, each.aggregates) for each in self.measures)
        return _encode(Shape(str(self.period), by, time, measures)).decode()


class Resumed(Protocol):
    """What an earlier run of the same records has done. again: it had the record that runs now, too."""

    @property
    def again(self) -> bool: ...

    @property
    def latest_ms(self) -> int:
        """What clocks may say at this place of the log, at most."""
        ...

    def floor_ms(self, group: str) -> int:
        """Windows of this group that start before this are written."""
        ...

    def ahead(self, group: str, by_ms: int) -> None:
        """A record of this group has told a time that is so much after its arrival."""
        ...

    def lacks(self, group: str, start_ms: int) -> bool:
        """Whether records of the window that starts then may be lost: the log no longer had them."""
        ...


class Window:
    """Tumbling windows. late: records that came too late. grouped: there is something it groups by.

    resumed: where a run goes on from a place in a log, what the run before it has written.
    """

    resumed: Resumed | None = None

    def __init__(self, settings: WindowSettings) -> None:
        self._settings: Final = settings
        self._opened: Final = OpenWindows(settings.lateness_ms)
        self._group_names: Final = tuple(each.text.replace(".", "_") for each in settings.by)
        self.shape: Final = settings.shape
        self.grouped: Final = bool(settings.by)
        self.late: Final = Late()

    def run(self, record: Record, state: State) -> tuple[Record, ...]:
        settings, opened = self._settings, self._opened.of(state)
        at_ms = self._time(record)
        key = self._key(record)
        values = [measure.value(record) for measure in settings.measures]
        group = opened.group(key)
        start_ms, end_ms = settings.period.span(at_ms)
        floor_ms = 0
        clock_ms = min(at_ms, record.at_ms)
        if self.resumed is not None:
            clock_ms = min(clock_ms, self.resumed.latest_ms)
            floor_ms = self.resumed.floor_ms(key)
            if start_ms < floor_ms and self.resumed.again:
                return ()
            if at_ms > record.at_ms:
                self.resumed.ahead(key, at_ms - record.at_ms)
        joining = group is None
        if group is None:
            group, latest = Group(floor_ms, clock_ms, record.at_ms), True
        elif group.spans:
            latest = clock_ms > group.latest_ms
        else:
            group, latest = Group(group.floor_ms, clock_ms, record.at_ms), True
        if end_ms <= group.floor_ms or end_ms + settings.lateness_ms <= group.latest_ms:
            return self._too_late(record, key, end_ms, group)
        span = group.span(start_ms)
        if span is None:
            if len(group.spans) >= MAX_SPANS and self._wait(group, clock_ms) >= MAX_SPANS:
                raise Refused(f"{MAX_SPANS} windows are open already for {key}")
            opened.open_one(settings.max_open, joining=joining)
            span = Span(start_ms, end_ms, 0, (NOTHING,) * len(values))
        opened.hear(key, group.plus(self._grown(span, key, values, at_ms, state), clock_ms), latest=latest)
        return ()

    def due_ms(self, state: State) -> int | None:
        return self._opened.of(state).due_ms()

    def close(self, now_ms: int, state: State, *, waiting: bool = False, limit: int = CLOSED) -> Iterable[Record]:
        opened = self._opened.of(state)
        return [self._record(key, span, state) for key, span in opened.take(now_ms, limit, waiting=waiting)]

    def hand_over(self, former: str, state: State, limit: int) -> list[Record]:
        """See Shaped: the open windows as they stand."""
        if not former:
            return []
        window = Window(msgspec.json.decode(former, type=Shape).settings())
        ended = window._opened.of(state).end(limit)
        return [window._record(key, span, state) for key, span in ended]

    def shift(self, jump_ms: int, state: State) -> None:
        """The hub's clock has jumped: no group's clock goes with it."""
        self._opened.of(state).shift(jump_ms)

    def open_count(self, state: State) -> int:
        """Windows that are open."""
        return self._opened.of(state).count

    def _wait(self, group: Group, clock_ms: int) -> int:
        """Windows of the group that are not over at this time of its; the others are about to be closed."""
        over_ms = max(group.latest_ms, clock_ms) - self._settings.lateness_ms
        return sum(span.end_ms > over_ms for span in group.spans)

    def _time(self, record: Record) -> int:
        settings = self._settings
        if settings.time is None:
            return record.at_ms
        at_ms = settings.time.ms(record)
        if at_ms > record.at_ms + settings.ahead_ms:
            raise Refused(f"its time is {_iso(at_ms)}, and it arrived at {_iso(record.at_ms)}: too far ahead")
        return at_ms

    def _key(self, record: Record) -> str:
        found = []
        for field in self._settings.by:
            value = field.get(record.data)
            if value is MISSING or value is None:
                raise Refused(f"{field.text}, which it is grouped by, {field.lack(record.data)}")
            if type(value) not in (str, bool) and not is_number(value):
                raise Refused(f"it cannot be grouped by {field.text}, which is {kind_of(value)}")
            found.append(whole(value))  # 5.0 and 5 are one group, the text '5' is another
        try:
            key = _encode(found).decode()
        except UnicodeEncodeError:
            raise Refused("what it is grouped by is no valid text") from None
        if len(key) > MAX_GROUP_CHARS:
            raise Refused(f"what it is grouped by is longer than {MAX_GROUP_CHARS} characters")
        return key

    def _grown(self, span: Span, key: str, values: list[Any], at_ms: int, state: State) -> Span:
        kept: list[Kept] = list(span.kept)
        for index, value in enumerate(values):
            if value is not None:
                measure = self._settings.measures[index]
                if measure.quantiles:
                    self._samples(state, span, key, index).add(value)
                kept[index] = measure.plus(kept[index], value, at_ms)
        return Span(span.start_ms, span.end_ms, span.count + 1, tuple(kept))

    def _too_late(self, record: Record, key: str, end_ms: int, group: Group) -> tuple[Record, ...]:
        self.late.add(key, dropped=self._settings.late == "drop")
        if self._settings.late == "drop":
            return ()
        if self._settings.late == "queue":
            return (Record(record.data, record.name, record.at_ms, record.id, aside=self._settings.late_queue),)
        reached = _iso(max(group.latest_ms, group.floor_ms))
        raise Refused(f"too late: its window ended at {_iso(end_ms)} and is closed, others are at {reached}")

    def _record(self, key: str, span: Span, state: State) -> Record:
        made = dict(zip(self._group_names, msgspec.json.decode(key), strict=True))
        made |= {"start_ms": span.start_ms, "end_ms": span.end_ms, "count": span.count}
        if self.resumed is not None and self.resumed.lacks(key, span.start_ms):
            made["partial"] = True
        for index, measure in enumerate(self._settings.measures):
            kept = span.kept[index]
            samples = self._samples(state, span, key, index) if kept.quantiles else None
            made |= zip(
                measure.names, measure.results(kept, None if samples is None else samples.quantile), strict=True
            )
            if samples is not None:
                samples.drop()
        return Record(made, "window", span.start_ms, f"window:{span.start_ms}:{span.end_ms - span.start_ms}:{key}")

    def _samples(self, state: State, span: Span, key: str, index: int) -> Samples:
        return Samples(state, f"{span.start_ms}:{index}:{key}", span.kept[index].quantiles)


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
