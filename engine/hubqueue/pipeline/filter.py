"""filter: only records for which an expression is true go on."""

from __future__ import annotations

from typing import Final

from hubqueue.expression import Condition, ExpressionFailed
from hubqueue.pipeline.record import Record, Refused
from hubqueue.pipeline.step import State


class Filter:
    """A value that cannot be compared refuses the record; one that is not there does not."""

    def __init__(self, where: Condition) -> None:
        self._where: Final = where

    def run(self, record: Record, state: State) -> tuple[Record, ...]:
        try:
            return (record,) if self._where.holds(record.values()) else ()
        except ExpressionFailed as error:
            raise Refused(str(error)) from error
