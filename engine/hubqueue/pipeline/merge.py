"""What was found for a record, put into its data: everything, or only some of it, under other names if wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from hubqueue.expression import MISSING
from hubqueue.model.kinds import kind_of
from hubqueue.pipeline.fields import Field, map_of
from hubqueue.pipeline.record import Record, Refused

Missing = Literal["refuse", "keep", "null"]


@dataclass(frozen=True, slots=True)
class Merge:
    """into: the field that takes it as a map, None to lay its fields over those of the record.

    pick: (name in the record, field of what was found), None for everything. missing: what becomes of a record for
    which nothing is found.
    """

    into: Field | None = None
    pick: tuple[tuple[Field, Field], ...] | None = None
    missing: Missing = "refuse"

    def found(self, record: Record, found: Any) -> Record:
        """The record with it. Errors: Refused."""
        made = map_of(record.data)
        if self.pick is None:
            if self.into is not None:
                self.into.put(made, found)
            elif type(found) is dict:
                made.update(found)
            else:
                raise Refused(f"what was found is {kind_of(found)}: it needs a name, see into")
            return record.carrying(made)
        inner = made if self.into is None else {}
        for name, source in self.pick:
            value = source.get(found)
            if value is not MISSING:
                name.put(inner, value)
            elif self.missing == "refuse":
                raise Refused(f"{source.text} is not in what was found")
            elif self.missing == "null":
                name.put(inner, None)
        if self.into is not None:
            self.into.put(made, inner)
        return record.carrying(made)

    def nothing(self, record: Record, what: str) -> Record:
        """The record for which nothing was found. Errors: Refused."""
        if self.missing == "refuse":
            raise Refused(what)
        if self.missing == "keep":
            return record
        made = map_of(record.data)
        for name, _ in () if self.into is not None else self.pick or ():
            name.put(made, None)
        if self.into is not None:
            self.into.put(made, None)
        return record.carrying(made)
