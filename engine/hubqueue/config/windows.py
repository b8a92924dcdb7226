"""The keys of the steps that gather: window and batch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from hubqueue.config import checks
from hubqueue.config.checks import Check
from hubqueue.config.mistakes import Wrong
from hubqueue.config.queues import queue_name
from hubqueue.config.timeformat import TIME_KEYS, UNIT, time_format
from hubqueue.pipeline import window as windows
from hubqueue.pipeline.aggregate import AGGREGATES, Measure, is_aggregate
from hubqueue.pipeline.batch import MAX_COUNT, Batch, BatchSettings
from hubqueue.pipeline.fields import Field
from hubqueue.pipeline.period import Period
from hubqueue.pipeline.step import Step
from hubqueue.pipeline.times import TimeField
from hubqueue.pipeline.window import Window, WindowSettings

ARRIVAL: Final = "arrival"
MAX_WAITING: Final = windows.MAX_SPANS - 10  # windows of a group that wait for late records
_BATCH: Final = {"count": "count", "within": "within_ms"}


def window() -> Check:
    field = checks.from_engine_text(Field)
    return checks.Section(
        {
            "every": checks.duration_ms(100, 31_536_000_000),
            "by": checks.Each(field),
            "time": lambda value: None if value == ARRIVAL else field(value),
            **TIME_KEYS,
            "lateness": checks.duration_ms(0),
            "ahead": checks.duration_ms(0),
            "late": late,
            "values": _measures,
            "max_open": checks.integer(1, 1_000_000),
        },
        required=("every",),
        build=_window,
    )


def batch() -> Check:
    return checks.Section(
        {
            "count": checks.integer(1, MAX_COUNT),
            "within": checks.duration_ms(1),
        },
        build=lambda clean: partial(Batch, BatchSettings(**{_BATCH[key]: value for key, value in clean.items()})),
    )


def late(value: Any) -> tuple[str, str | None]:
    """What becomes of late records; of `queue` the name too: {queue: late-readings}."""
    if isinstance(value, dict):
        found = checks.Section({"queue": queue_name}, required=("queue",))(value)
        return "queue", found["queue"]
    if value == "queue":
        raise Wrong("needs the name of the queue", hint="as in late: {queue: late-readings}")
    return checks.choice("drop", "dead-letter")(value), None


def _measures(value: Any) -> tuple[Measure, ...]:
    """Fields and what is wanted of each: {temperature: [mean, max]}."""
    field = checks.from_engine_text(Field)
    named = checks.Named(field, _aggregates)(value)
    return tuple(Measure(Field(name), wanted) for name, wanted in named.items())


def _aggregates(value: Any) -> tuple[str, ...]:
    given = [value] if isinstance(value, str) else value
    made: tuple[str, ...] = checks.Each(_aggregate)(given)
    if not made or len(set(made)) < len(made):
        raise Wrong("must name aggregates, each once", value, hint=f"known: {', '.join(AGGREGATES)}")
    return made


def _aggregate(value: Any) -> str:
    if not is_aggregate(word := checks.text(value)):
        hint = checks.did_you_mean(word, AGGREGATES) or f"known: {', '.join(AGGREGATES)}"
        raise Wrong("is no aggregate", value, hint=hint)
    return word


def _window(clean: dict[str, Any]) -> Callable[[], Step]:
    policy, queue = clean.get("late", ("drop", None))
    time = clean.get("time")
    if UNIT in clean and time is None:
        raise Wrong("makes no sense without time", path=[UNIT], hint="time names what is read so")
    format = time_format(clean)
    lateness_ms = clean.get("lateness", windows.LATENESS_MS)
    room_ms = clean["every"] * MAX_WAITING - lateness_ms
    ahead_ms = clean.get("ahead", min(windows.AHEAD_MS, room_ms))
    for key, over in (("lateness", room_ms < 0), ("ahead", time is not None and ahead_ms > room_ms >= 0)):
        if over:
            raise Wrong(
                f"keeps more than {MAX_WAITING} windows of a group open",
                path=[key],
                hint=f"longer windows, or less {key}",
            )
    settings = WindowSettings(
        period=Period(clean["every"], format.zone),
        by=clean.get("by", ()),
        time=None if time is None else TimeField(time, format),
        lateness_ms=lateness_ms,
        ahead_ms=ahead_ms,
        late=policy,
        late_queue=queue,
        measures=clean.get("values", ()),
        max_open=clean.get("max_open", windows.MAX_OPEN),
    )
    names = [name for measure in settings.measures for name in measure.names]
    names += ["start_ms", "end_ms", "count", "partial", *(each.text.replace(".", "_") for each in settings.by)]
    for name in names:
        if names.count(name) > 1:
            raise Wrong(f"would give two fields called {name}", hint="rename one in a map step before")
    return partial(Window, settings)
