"""The time that a record says of itself: in which field it stands, and how it is written there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hubqueue.expression import MISSING
from hubqueue.model import moment
from hubqueue.model.moment import NoTime, TimeFormat
from hubqueue.pipeline.fields import Field
from hubqueue.pipeline.record import Record, Refused


@dataclass(frozen=True, slots=True)
class TimeField:
    """A field and the format of its times."""

    field: Field
    format: TimeFormat = moment.DEFAULT

    def __str__(self) -> str:
        return f"{self.field.text} {self.format}"

    def ms(self, record: Record) -> int:
        """Units: Unix milliseconds, not below 0. Errors: Refused."""
        value = self.field.get(record.data)
        if value is MISSING or value is None:
            raise Refused(f"{self.field.text}, its time, {self.field.lack(record.data)}")
        return time_ms(value, self.format)


def time_ms(value: Any, format: TimeFormat = moment.DEFAULT) -> int:
    """Unix milliseconds, not below 0. Errors: Refused."""
    try:
        found = format.ms(value)
    except NoTime as error:
        raise Refused(f"its time: {error}") from None
    if found < 0:
        raise Refused("its time is before 1970")
    return found
