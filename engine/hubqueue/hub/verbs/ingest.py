"""intake: a batch from a source that cannot be told "later": messages for many queues, in one transaction.

A full queue holds back nothing but its own jobs: they go to `_overflow` (bounded), or are dropped where their source
says so; while jobs of a queue wait there, newer ones go behind them. What is not valid is kept with the dead. Only what
concerns the whole hub (disk full, shutting down) refuses the batch, before anything is written. Used by the MQTT
bridge, and by `feed` for sources that can wait.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final, Literal, Protocol

import msgspec

from hubqueue.errors import Duplicate, HubqueueError, Invalid, QueueFull
from hubqueue.hub.verbs import overflow
from hubqueue.hub.verbs.enqueue import enqueue
from hubqueue.hub.verbs.queues import bury_new
from hubqueue.model.job import NewJob
from hubqueue.model.limits import MAX_ERROR_CHARS
from hubqueue.model.outcome import Output
from hubqueue.store.tx import Tx

log = logging.getLogger(__name__)

UNROUTABLE: Final = "_unroutable"
BACK: Final = 500  # jobs that go back from `_overflow` before newer ones are taken: a few ms

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
    """What became of a batch. Units: jobs; unanswered: of those that are stored, whose `follow` had no room."""

    enqueued: int = 0
    dead: int = 0
    overflowed: int = 0
    dropped: int = 0
    unanswered: int = 0


def intake(tx: Tx, arrivals: Sequence[Arrival], dead: Sequence[Dead]) -> Placed:
    """Store a batch, each queue's jobs in order. Errors: DiskFull, Draining, QueueFull of the whole file."""
    placed, lost = place(tx, arrivals)
    lost = [*((job, reason, error[:MAX_ERROR_CHARS]) for job, reason, error in dead), *lost]
    if lost:
        bury_new(tx, UNROUTABLE, lost)
        placed.dead += len(lost)
    return placed


def place(tx: Tx, arrivals: Sequence[Arrival]) -> tuple[Placed, list[Dead]]:
    """Store what is valid; the rest is to be kept with the dead. Errors: those of intake."""
    refusal = tx.refusal()
    if refusal is not None:
        raise refusal
    placed = Placed()
    lost: list[Dead] = []
    queues: dict[str, list[Arrival]] = {}
    for arrival in arrivals:
        queues.setdefault(arrival.queue, []).append(arrival)
    for queue, group in queues.items():
        if _is_behind(tx, queue):
            _put_behind(tx, group, placed, lost)
            continue
        try:
            _enqueue(tx, queue, group, placed)
        except (QueueFull, Invalid, Duplicate):
            _place_each(tx, group, placed, lost)
    if placed.unanswered:
        log.warning("jobs are taken, there is no room for what is to answer them count=%d", placed.unanswered)
    return placed, lost


def _is_behind(tx: Tx, queue: str) -> bool:
    """Whether older jobs of the queue wait in `_overflow`, when those that find room have gone back."""
    if not overflow.waits(tx, queue):
        return False
    overflow.give_back_to(tx, queue, BACK)
    return overflow.waits(tx, queue)


def _enqueue(tx: Tx, queue: str, group: Sequence[Arrival], placed: Placed) -> None:
    ids = enqueue(tx, queue, [arrival.job for arrival in group])
    placed.enqueued += len(group)
    for id, arrival in zip(ids, group, strict=True):
        if arrival.follow is not None:
            _follow(tx, arrival.follow(id), placed)


def _follow(tx: Tx, output: Output, placed: Placed) -> None:
    try:
        enqueue(tx, output.queue, [output.job])
    except QueueFull:  # an answer that has no room does not cost its job
        placed.unanswered += 1


def _place_each(tx: Tx, group: Sequence[Arrival], placed: Placed, lost: list[Dead]) -> None:
    """One by one, until there is no room: those behind keep the order."""
    for at, arrival in enumerate(group):
        try:
            _enqueue(tx, arrival.queue, [arrival], placed)
        except (Invalid, Duplicate) as error:
            lost.append(_dead(arrival, error))
        except QueueFull:
            _put_behind(tx, group[at:], placed, lost)
            return


def _put_behind(tx: Tx, group: Sequence[Arrival], placed: Placed, lost: list[Dead]) -> None:
    """Errors: QueueFull where an arrival is to wait for room."""
    for arrival in group:
        if arrival.on_full == "wait":
            raise QueueFull(f"Queue {arrival.queue} is full, or older jobs wait for room in it")
        parked = arrival.on_full == "overflow" or overflow.has_room(tx, arrival.queue)
        try:
            id = overflow.park(tx, arrival.queue, arrival.job) if parked else None
        except (Invalid, Duplicate) as error:
            lost.append(_dead(arrival, error))
            continue
        if id is None:
            placed.dropped += 1
        else:
            placed.overflowed += 1
            if arrival.follow is not None:
                _follow(tx, arrival.follow(id), placed)


def _dead(arrival: Arrival, error: HubqueueError) -> Dead:
    return arrival.job, "invalid", str(error)[:MAX_ERROR_CHARS]
