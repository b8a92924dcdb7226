"""How a run of a job ends, as values: a handler returns or raises one, `settle` stores it.

What cannot be stored is refused, or put right, when the value is made: at a settle it would hold up others.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Final

import msgspec

from hubqueue.model.job import Enqueueable
from hubqueue.model.limits import MAX_DELAY_MS, check_number
from hubqueue.model.text import storable

LONGEST_S: Final = MAX_DELAY_MS / 1000


class Outcome(Exception):
    """The end of one run of a job; the subclasses say which."""


class Complete(Outcome):
    """Done. result: MessagePack bytes, None for no result; remove: delete the row at once (None: as the job says)."""

    def __init__(self, result: bytes | None = None, *, remove: bool | None = None) -> None:
        super().__init__("completed")
        self.result = result
        self.remove = remove


class Fail(Outcome):
    """The run failed: tried again with the job's back-off while it has attempts left, then dead.

    reason is kept with the attempt, and with the dead letter if it was the last one: `explicit_fail` by itself,
    `timeout` when the handler was over its time, `worker_lost` when its process died.
    """

    def __init__(
        self,
        error: str | None = None,
        *,
        stack: tuple[str, ...] = (),
        remove: bool | None = None,
        reason: str = "explicit_fail",
    ) -> None:
        super().__init__(error or "failed")
        self.error = None if error is None else storable(error)
        self.stack = _lines(stack)
        self.remove = remove
        self.reason = reason


class Retry(Outcome):
    """The run failed and is to be tried again after a given time, while the job has attempts left.

    Units: after_s seconds. Errors: Invalid for a time that is none, or is over a year.
    """

    def __init__(self, after_s: float = 0.0, error: str | None = None) -> None:
        check_number("after_s", after_s, -inf, LONGEST_S)
        super().__init__(error or f"retry after {after_s:g} s")
        self.after_s = after_s
        self.error = None if error is None else storable(error)


class Reject(Outcome):
    """The job can never succeed: it goes to the dead-letter queue at once, with this reason."""

    def __init__(self, reason: str, *, stack: tuple[str, ...] = (), remove: bool | None = None) -> None:
        super().__init__(reason)
        self.reason = storable(reason)
        self.stack = _lines(stack)
        self.remove = remove


class Release(Outcome):
    """Not done and not the job's fault: it goes back, nothing is counted.

    Units: after_s seconds until it may be leased again; 0 keeps its place in the queue. Errors: as `Retry`.
    """

    def __init__(self, after_s: float = 0.0) -> None:
        check_number("after_s", after_s, -inf, LONGEST_S)
        super().__init__("released")
        self.after_s = after_s


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """One leased job and how it ended. token None only for a job leased without an owner."""

    id: str
    token: str | None
    outcome: Outcome


class Output(msgspec.Struct, frozen=True, gc=False):
    """A job that a settle enqueues in the same transaction."""

    queue: str
    job: Enqueueable


class Blob(msgspec.Struct, frozen=True, gc=False):
    """A named state blob that a settle stores; value None deletes it. Window state and the like."""

    namespace: str
    key: str
    value: bytes | None


def _lines(stack: Iterable[object]) -> tuple[str, ...]:
    return tuple([storable(line) for line in stack])
