"""What a reading owes to the sinks: what came out of it, and from where that would come out again.

Rule: a partition is committed no further than its first debt that is not settled. So what a sink has set aside holds
nobody up, and is not lost with the member that has it.
"""

from __future__ import annotations

from dataclasses import dataclass

from hubqueue.kafkagroup.commitnote import Commit
from hubqueue.pipeline.record import Record


@dataclass(slots=True, eq=False)
class Debt:
    """What came out of a reading in one turn. cut: from where all of it comes out again. left: records not settled."""

    cut: Commit
    left: int


@dataclass(slots=True, eq=False)
class Owed:
    """One record. sinks: those that have neither taken nor refused it. refused: one of them did."""

    record: Record
    debt: Debt
    sinks: int = 0
    refused: bool = False

    def settle(self) -> bool:
        """One sink is through with it, also with its dead letter; whether that was the last."""
        self.sinks -= 1
        if not self.sinks:
            self.debt.left -= 1
        return not self.sinks
