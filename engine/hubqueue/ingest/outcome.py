"""What becomes of a message: a job, nothing, or a dead letter of `_unroutable`; and of many of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from hubqueue.hub.verbs.ingest import Dead
from hubqueue.ingest.into import Into, OnFull
from hubqueue.model.job import NewJob
from hubqueue.model.outcome import Output

DEFECT: Final = "it could not be read; the log of the hub has the details"


class Taken(msgspec.Struct, frozen=True, gc=False):
    """The message became a job. into: by which settings; None: it says itself what it wants, as an invoke does.

    follow: see `hub.verbs.ingest`.
    """

    queue: str
    job: NewJob
    on_full: OnFull = "overflow"
    into: Into | None = None
    follow: Callable[[str], Output] | None = None


class Passed(msgspec.Struct, frozen=True, gc=False):
    """The settings leave the message out, as their author wants it."""

    into: Into


class Refused(msgspec.Struct, frozen=True, gc=False):
    """The message cannot become a job. job: what is kept of it. reason: a short code. into: None where none take it."""

    job: NewJob
    reason: str
    error: str
    into: Into | None = None


Outcome = Taken | Passed | Refused


class Routed(msgspec.Struct):
    """What became of a batch. Units: passed messages."""

    taken: list[Taken] = []
    dead: list[Dead] = []
    passed: int = 0

    def add(self, outcome: Outcome) -> None:
        if isinstance(outcome, Taken):
            self.taken.append(outcome)
        elif isinstance(outcome, Passed):
            self.passed += 1
        else:
            self.dead.append((outcome.job, outcome.reason, outcome.error))

    @property
    def bytes(self) -> int:
        """Of the data of its jobs."""
        return sum([len(each.job.data or b"") for each in self.taken])
