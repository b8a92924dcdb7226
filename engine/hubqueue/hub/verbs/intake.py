"""intake: a batch from a source that cannot be told "later": messages for many queues, in one transaction.

A full queue holds back nothing but its own jobs: they go to `_overflow` (bounded), or are dropped where their source
says so. What is not valid is kept with the dead. Only what concerns the whole hub (disk full, shutting down) refuses
the batch, before anything is written. Used by the MQTT bridge, and by `feed` for sources that can wait.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal, Protocol

import msgspec

from hubqueue.errors import Invalid, QueueFull
from hubqueue.hub.verbs.enqueue import enqueue
from hubqueue.hub.verbs.queues import bury_new
from hubqueue.model.job import PLAIN, Enqueueable, NewJob
from hubqueue.model.limits import MAX_ERROR_CHARS
from hubqueue.model.outcome import Output
from hubqueue.model.state import State
from hubqueue.store.tx import Tx

UNROUTABLE: Final = "_unroutable"
OVERFLOW: Final = "_overflow"
MAX_OVERFLOW: Final = 10_000  # jobs that wait there; beyond it they are dropped and counted

Dead = tuple[NewJob, str, str]  # job, reason code, error text


class Arrival(Protocol):
    """A job and where it is to go. `follow` makes a second job that needs the id of the first."""

    @property
    def queue(self) -> str: ...
    @property
    def job(self) -> NewJob: ...
    @property
    def on_full(self) -> Literal["overflow", "drop", "wait"]: ...
    @property
    def follow(self) -> Callable[[str], Output] | None: ...


class Placed(msgspec.Struct):
    """What became of a batch. Units: jobs."""

    enqueued: int = 0
    dead: int = 0
    overflowed: int = 0
    dropped: int = 0


def intake(tx: Tx, arrivals: Sequence[Arrival], dead: Sequence[Dead]) -> Placed:
    """Store a batch, each queue's jobs in order. Errors: DiskFull, Draining, QueueFull of the whole file."""
    refusal = tx.refusal()
    if refusal is not None:
        raise refusal
    placed = Placed()
    lost = [(job, reason, error[:MAX_ERROR_CHARS]) for job, reason, error in dead]
    queues: dict[str, list[Arrival]] = {}
    for arrival in arrivals:
        queues.setdefault(arrival.queue, []).append(arrival)
    for queue, group in queues.items():
        try:
            _enqueue(tx, queue, group)
            placed.enqueued += len(group)
        except (QueueFull, Invalid):
            for arrival in group:
                _place_one(tx, arrival, placed, lost)
    if lost:
        bury_new(tx, UNROUTABLE, lost)
        placed.dead += len(lost)
    return placed


def _enqueue(tx: Tx, queue: str, group: Sequence[Arrival]) -> None:
    ids = enqueue(tx, queue, [arrival.job for arrival in group])
    for id, arrival in zip(ids, group, strict=True):
        if arrival.follow is not None:
            output = arrival.follow(id)
            _try(tx, output.queue, output.job)


def _try(tx: Tx, queue: str, job: Enqueueable) -> bool:
    """Whether there was room for the job."""
    try:
        enqueue(tx, queue, [job])
    except QueueFull:
        return False
    return True


def _place_one(tx: Tx, arrival: Arrival, placed: Placed, lost: list[Dead]) -> None:
    try:
        _enqueue(tx, arrival.queue, [arrival])
        placed.enqueued += 1
    except Invalid as error:
        lost.append((arrival.job, "invalid", str(error)[:MAX_ERROR_CHARS]))
    except QueueFull:
        if arrival.on_full == "wait":
            raise
        if arrival.on_full == "overflow" and not _overflow_full(tx) and _try(tx, OVERFLOW, _labelled(arrival)):
            placed.overflowed += 1
        else:
            placed.dropped += 1


def _overflow_full(tx: Tx) -> bool:
    row = tx.queues.find(OVERFLOW)
    return row is not None and row.n[State.WAITING] + row.n[State.DELAYED] >= MAX_OVERFLOW


def _labelled(arrival: Arrival) -> NewJob:
    """The job as it waits in `_overflow`: a tag says which queue had no room. No deduplication: that is per queue."""
    options = arrival.job.options or PLAIN
    tags = (*options.tags, f"queue:{arrival.queue}")
    return msgspec.structs.replace(arrival.job, options=msgspec.structs.replace(options, tags=tags, dedup=None))
