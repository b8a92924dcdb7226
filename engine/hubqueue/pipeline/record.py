"""A record: what goes through the steps of a pipeline, and what becomes of one that a step cannot take.

Rule: a step never changes a record or anything in its data; it makes a new one. What ran may have to run again.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from hubqueue.expression import SHARED, UNITS

# What an expression of a step can name.
NAMES: Final = ("data", "name", "at_ms", "id")


class Record(msgspec.Struct, frozen=True):
    """One reading on its way. The same input always gives the same id.

    data: the decoded payload, a map for most. name: the job's, or "default". at_ms: when it arrived, or the
    start of the window it stands for; Unix milliseconds. aside: the queue it goes to at once instead of through the
    steps that follow, as what comes too late for its window.
    """

    data: Any
    name: str
    at_ms: int
    id: str
    aside: str | None = None

    def carrying(self, data: Any) -> Record:
        """The same record with other data."""
        return Record(data, self.name, self.at_ms, self.id)

    def values(self) -> dict[str, Any]:
        """What expressions see, by NAMES."""
        return {"data": self.data, "name": self.name, "at_ms": self.at_ms, "id": self.id, SHARED: [UNITS]}


class Refused(Exception):
    """This record cannot go on, now or later: it goes to the dead letters with this reason, the others go on.

    step: which step said so; the chain fills it in.
    """

    def __init__(self, reason: str, step: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.step = step

    def __str__(self) -> str:
        return f"{self.step}: {self.reason}" if self.step else self.reason
