"""convert: numbers from one unit to another, by factors that are known since the pipeline was loaded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hubqueue.expression import MISSING, is_number
from hubqueue.model.kinds import kind_of
from hubqueue.pipeline.fields import Field, map_of
from hubqueue.pipeline.record import Record, Refused
from hubqueue.pipeline.step import State
from hubqueue.pipeline.units import Conversion


@dataclass(frozen=True, slots=True)
class Converted:
    """A field and how it is converted. digits: after the point, None for all."""

    field: Field
    conversion: Conversion
    digits: int | None = None


class Convert:
    """A field that is missing or null stays so; one that is not a number refuses the record."""

    def __init__(self, converted: Sequence[Converted]) -> None:
        self._converted: Final = tuple(converted)

    def run(self, record: Record, state: State) -> tuple[Record, ...]:
        made = map_of(record.data)
        for each in self._converted:
            value = each.field.get(made)
            if value is MISSING or value is None:
                continue
            if not is_number(value):
                what = "not finite" if isinstance(value, float) else kind_of(value)
                raise Refused(f"{each.field.text} is {what} and cannot be converted")
            found = each.conversion(value)
            if not math.isfinite(found):
                raise Refused(f"{each.field.text} is too large to be converted")
            each.field.put(made, found if each.digits is None else round(found, each.digits))
        return (record.carrying(made),)
