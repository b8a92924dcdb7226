"""flag: readings that look wrong are marked, and pass.

Three checks of a field: its range, how fast it changes, and how far it is from what is usual (z-score). The last two
compare with earlier records of the same key, by the records' own time. What is usual is a mean and a variance that
follow the last `window` readings (Welford's method, with forgetting once the window is full): two numbers for each
key and field, however long the window. A reading that is flagged counts as the nearest one that would not have
been: one wild value does not hide the next, and what lasts becomes usual.
Source: B. P. Welford, Note on a method for calculating corrected sums of squares and products (1962).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hubqueue.expression import MISSING, ExpressionFailed, Text, is_number
from hubqueue.pipeline.fields import Field, map_of
from hubqueue.pipeline.record import Record, Refused
from hubqueue.pipeline.step import State
from hubqueue.pipeline.times import TimeField

_MAX_KEY_CHARS: Final = 512
_COUNT: Final = "n"
_KEY: Final = "k:"


@dataclass(frozen=True, slots=True)
class Range:
    """Outside of it is `FIELD.range`."""

    low: float = -math.inf
    high: float = math.inf


@dataclass(frozen=True, slots=True)
class Rate:
    """A change by more than `most` in `per_ms` is `FIELD.rate`. Units: milliseconds."""

    most: float
    per_ms: int


@dataclass(frozen=True, slots=True)
class ZScore:
    """More than `over` standard deviations from the mean is `FIELD.zscore`, once `warmup` readings are known.

    least: a standard deviation below it counts as it: the smallest step of the sensor, say.
    """

    over: float = 3.0
    window: int = 100
    warmup: int = 20
    least: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagSettings:
    """by None: one key for all records. time None: when a record arrived. keys: how many are remembered."""

    ranges: tuple[tuple[Field, Range], ...] = ()
    rates: tuple[tuple[Field, Rate], ...] = ()
    zscores: tuple[tuple[Field, ZScore], ...] = ()
    by: Text | None = None
    time: TimeField | None = None
    into: Field
    keys: int = 10_000


# What is remembered of a key: when it was heard last, (time, value) by field, (n, mean, variance) by field.
_Known = tuple[int, Mapping[str, tuple[int, float]], Mapping[str, tuple[int, float, float]]]


class Flag:
    """A missing or null field is not checked; one that is not a finite number is flagged as `FIELD.invalid`."""

    def __init__(self, settings: FlagSettings) -> None:
        self._settings: Final = settings
        self._remembers: Final = bool(settings.rates or settings.zscores)
        self._fields: Final = {each.text: each for each, _ in (*settings.ranges, *settings.rates, *settings.zscores)}

    def run(self, record: Record, state: State) -> tuple[Record, ...]:
        made = map_of(record.data)
        flags, values = [], {}
        for text, field in self._fields.items():
            value = field.get(made)
            if is_number(value):
                values[text] = value
            elif value is not MISSING and value is not None:
                flags.append(f"{text}.invalid")
        for field, bounds in self._settings.ranges:
            found = values.get(field.text)
            if found is not None and not bounds.low <= found <= bounds.high:
                flags.append(f"{field.text}.range")
        if self._remembers and values:
            flags += self._compared(record, values, state)
        self._settings.into.put(made, flags)
        return (record.carrying(made),)

    def _compared(self, record: Record, values: Mapping[str, float], state: State) -> list[str]:
        key, at_ms = self._key(record), self._time(record)
        known: _Known | None = state.get(key)
        if known is None:
            self._admit(state)
            known = (record.at_ms, {}, {})
        flags, rates, zscores = [], dict(known[1]), dict(known[2])
        for field, rate in self._settings.rates:
            value = values.get(field.text)
            if value is None:
                continue
            before = rates.get(field.text)
            if before is not None and at_ms <= before[0]:
                if before[0] <= record.at_ms:
                    continue  # out of order: there is no telling how fast it changed
                before = None  # that one claimed to be of the future: it must not silence those that follow
            if before is not None and abs(value - before[1]) * rate.per_ms > rate.most * (at_ms - before[0]):
                flags.append(f"{field.text}.rate")
            rates[field.text] = (at_ms, value)
        for field, usual in self._settings.zscores:
            value = values.get(field.text)
            if value is not None:
                flagged, zscores[field.text] = _scored(value, usual, zscores.get(field.text))
                if flagged:
                    flags.append(f"{field.text}.zscore")
        state.put(key, (max(record.at_ms, known[0]), rates, zscores))
        return flags

    def _key(self, record: Record) -> str:
        if self._settings.by is None:
            return _KEY
        try:
            key = self._settings.by.render(record.values())
        except ExpressionFailed as error:
            raise Refused(f"its key cannot be worked out: {error}") from error
        if len(key) > _MAX_KEY_CHARS:
            raise Refused(f"its key is longer than {_MAX_KEY_CHARS} characters")
        return _KEY + key

    def _time(self, record: Record) -> int:
        time = self._settings.time
        return record.at_ms if time is None else time.ms(record)

    def _admit(self, state: State) -> None:
        """Room for one more key: the tenth that was heard longest ago is forgotten when there is none."""
        count = state.get(_COUNT) or 0
        if count >= self._settings.keys:
            keys = (key for key in state.keys() if key != _COUNT)  # noqa: SIM118  # a State is no dict
            heard = sorted((known[0], key) for key in keys if (known := state.get(key)) is not None)
            gone = heard[: max(1, len(heard) // 10)]
            for _, key in gone:
                state.delete(key)
            count = len(heard) - len(gone)
        state.put(_COUNT, count + 1)


def _scored(
    value: float, usual: ZScore, before: tuple[int, float, float] | None
) -> tuple[bool, tuple[int, float, float]]:
    """Whether it is flagged, and what is usual from now on: (readings, mean, variance)."""
    if before is None:
        return False, (1, float(value), 0.0)
    n, mean, variance = before
    flagged = False
    if n >= usual.warmup:
        deviation = max(math.sqrt(variance), usual.least)
        flagged = abs(value - mean) > usual.over * deviation
        if flagged and deviation > 0:
            value = mean + math.copysign(usual.over * deviation, value - mean)
    n = min(n + 1, usual.window)
    step = value - mean
    after = (n, mean + step / n, (1 - 1 / n) * (variance + step * step / n))
    if not math.isfinite(after[2]):
        return True, before  # too large to calculate with
    return flagged, after
