"""enrich by a table: the fields of the row that a record's key names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hubqueue.expression import ExpressionFailed, Text
from hubqueue.pipeline.merge import Merge
from hubqueue.pipeline.record import Record, Refused
from hubqueue.pipeline.step import State
from hubqueue.pipeline.table import Table


class Enrich:
    """A record for whose key there is no row is treated as `missing` of the merge says."""

    def __init__(self, table: Table, key: Text, merge: Merge) -> None:
        self._table: Final = table
        self._key: Final = key
        self._merge: Final = merge

    async def prepare(self, records: Sequence[Record]) -> None:
        await self._table.refresh()

    def run(self, record: Record, state: State) -> tuple[Record, ...]:
        try:
            key = self._key.render(record.values())
        except ExpressionFailed as error:
            return (self._merge.nothing(record, f"its key cannot be worked out: {error}"),)
        row = self._table.rows.get(key)
        if row is None:
            return (self._merge.nothing(record, f"{key[:60]!r} is not in the table"),)
        try:
            return (self._merge.found(record, row),)
        except Refused as refused:
            raise Refused(f"{key[:60]!r}: {refused.reason}") from refused

    async def aclose(self) -> None:
        """Nothing is kept open."""
