"""The aggregates of a window: which there are, what has to be kept for each, and what each gives at the end.

Rules: a field that a record does not have, or has as null, takes no part and changes nothing. One that is there and
is no number refuses the record, unless only its first or last value is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from hubqueue.expression import MISSING, is_number
from hubqueue.model.kinds import kind_of
from hubqueue.pipeline.fields import Field
from hubqueue.pipeline.record import Record, Refused
from hubqueue.pipeline.summary import Ends, Numbers

_NUMBERS: Final[Mapping[str, Callable[[Numbers], Any]]] = {
    "count": lambda kept: kept.n,
    "min": lambda kept: kept.low if kept.n else None,
    "max": lambda kept: kept.high if kept.n else None,
    "sum": Numbers.sum,
    "mean": Numbers.average,
    "stddev": Numbers.stddev,
}
_ENDS: Final = ("first", "last")
_QUANTILES: Final[Mapping[str, float]] = {"median": 0.5}
AGGREGATES: Final = (*_NUMBERS, *_ENDS, "median", "p1 to p99, p99.9 and so on")
MAX_END_BYTES: Final = 1024  # of a first or last value: it is written again with every batch
NO_NUMBERS: Final = Numbers()


def quantile_of(aggregate: str) -> float | None:
    """0.95 for `p95`; None for what is no quantile."""
    if aggregate in _QUANTILES:
        return _QUANTILES[aggregate]
    digits = aggregate[1:]
    if not aggregate.startswith("p") or not digits.replace(".", "", 1).isdigit() or not digits.isascii():
        return None
    percent = float(digits)
    return percent / 100 if 0 < percent < 100 else None


def is_aggregate(word: str) -> bool:
    """Whether there is such an aggregate."""
    return word in _NUMBERS or word in _ENDS or quantile_of(word) is not None


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """What a window has of one field. quantiles: how many values are kept for them, elsewhere."""

    numbers: Numbers = NO_NUMBERS
    ends: Ends | None = None
    quantiles: int = 0


NOTHING: Final = Kept()


class Measure:
    """A field and the aggregates that are wanted of it."""

    def __init__(self, field: Field, aggregates: tuple[str, ...]) -> None:
        self.field: Final = field
        self.aggregates: Final = aggregates
        prefix = field.text.replace(".", "_")
        self.names: Final = tuple(f"{prefix}_{each}" for each in aggregates)
        self.quantiles: Final = any(quantile_of(each) is not None for each in aggregates)
        self._numbers: Final = any(each in _NUMBERS for each in aggregates)
        self._ends: Final = any(each in _ENDS for each in aggregates)
        self._only_ends: Final = self._ends and not self._numbers and not self.quantiles
        self._plain: Final = self._numbers and not self._ends and not self.quantiles

    def value(self, record: Record) -> Any:
        """The record's value, None when it takes no part. Errors: Refused."""
        value = self.field.get(record.data)
        if value is MISSING or value is None:
            return None
        if self._only_ends:
            if type(value) not in (int, float, bool) and len(msgspec.msgpack.encode(value)) > MAX_END_BYTES:
                raise Refused(f"{self.field.text} is larger than {MAX_END_BYTES} bytes")
        elif not is_number(value):
            raise Refused(f"{self.field.text} is no number to calculate with, but {_described(value)}")
        return value

    def plus(self, kept: Kept, value: Any, at_ms: int) -> Kept:
        """With one more value that is not None."""
        if self._plain:
            return Kept(kept.numbers.plus(value))
        ends = kept.ends
        if self._ends:
            ends = Ends(value, at_ms, value, at_ms) if ends is None else ends.plus(value, at_ms)
        numbers = kept.numbers.plus(value) if self._numbers else kept.numbers
        return Kept(numbers, ends, kept.quantiles + self.quantiles)

    def results(self, kept: Kept, quantile: Callable[[float], float] | None) -> list[Any]:
        """What the aggregates come to, by `names`; None where there was no value."""
        return [self._result(each, kept, quantile) for each in self.aggregates]

    def _result(self, aggregate: str, kept: Kept, quantile: Callable[[float], float] | None) -> Any:
        if aggregate in _NUMBERS:
            return _NUMBERS[aggregate](kept.numbers)
        if aggregate in _ENDS:
            return None if kept.ends is None else getattr(kept.ends, aggregate)
        part = quantile_of(aggregate)
        return None if quantile is None or part is None else quantile(part)


def _described(value: Any) -> str:
    """What kind of value it is, and the beginning of it where that helps."""
    if isinstance(value, float):
        return "not finite"
    return f"{kind_of(value)}: {value[:40]!r}" if isinstance(value, str) else kind_of(value)
