"""reroute: a message that is kept in `_unroutable` goes through today's rules again, as if it came now.

In one transaction its jobs are stored and its dead letter is gone, or it stays with the reason of today: a kill at any
moment loses and doubles nothing. What rules and sources there are the hub does not know: it is given a Router.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import msgspec

from hubqueue.errors import Invalid, QueueFull, WrongState
from hubqueue.hub.verbs import rows
from hubqueue.hub.verbs.ingest import Arrival, place
from hubqueue.model.job import History, Job, NewJob, history_blob
from hubqueue.model.limits import MAX_ERROR_CHARS
from hubqueue.model.outcome import Output
from hubqueue.model.state import Move, State
from hubqueue.model.verbs import Retried
from hubqueue.store import changes
from hubqueue.store.queues import QueueRow
from hubqueue.store.tx import Tx

log = logging.getLogger(__name__)


class Rerouted(msgspec.Struct):
    """What today's rules make of a kept message: jobs; reason and error where one of them, or nobody, takes it.

    data: what is kept of it then, where that is something else than before. Without arrivals and without a reason
    rules leave it out.
    """

    arrivals: Sequence[Arrival] = ()
    reason: str | None = None
    error: str = ""
    data: bytes | None = None


class Router(Protocol):
    """Knows the rules and sources of this process."""

    def reroute(self, job: Job) -> Rerouted:
        """Pure and quick: it runs inside the transaction."""
        ...


class _Arrived(msgspec.Struct):
    """An arrival that is not dropped where its queue is full: it stays where it is."""

    queue: str
    job: NewJob
    on_full: Literal["overflow", "wait"]
    follow: Callable[[str], Output] | None


def reroute(tx: Tx, job: Job, queue: QueueRow) -> Retried:
    """Errors: WrongState where nobody knows rules; DiskFull, Draining, QueueFull of the whole file."""
    if tx.router is None:
        raise WrongState(
            "Messages that became no job go through rules and sources again, and this hub has none",
            hint="purge them, or start the hub with its mqtt rules and sources",
        )
    try:
        found = tx.router.reroute(job)
    except Exception:  # a defect that one message found must not hold up the others
        log.exception("a kept message could not be routed again job=%s", job.id)
        found = Rerouted(reason="failed", error="it could not be read again; the log of the hub has the details")
    if found.reason is None and not found.arrivals:
        _remove(tx, job, queue)
        return Retried(passed=1)
    if found.arrivals:
        try:
            with tx.savepoint():
                _place(tx, found.arrivals)
                if found.reason is None:
                    _remove(tx, job, queue)
        except (QueueFull, Invalid) as error:
            found = Rerouted(reason="queue_full" if isinstance(error, QueueFull) else "invalid", error=str(error))
    if found.reason is None:
        return Retried(again=1)
    _keep(tx, job, found)
    return Retried(kept=1, why=found.error)


def _place(tx: Tx, arrivals: Sequence[Arrival]) -> None:
    """All of them or none. Errors: QueueFull, Invalid."""
    careful = [
        _Arrived(each.queue, each.job, "overflow" if each.on_full == "overflow" else "wait", each.follow)
        for each in arrivals
    ]
    placed, lost = place(tx, careful)
    if lost:
        raise Invalid(lost[0][2])
    if placed.dropped:
        raise QueueFull("its queue is full, and so is _overflow")


def _remove(tx: Tx, job: Job, queue: QueueRow) -> None:
    tx.emit("removed", queue.name, job.id, prev="failed")
    rows.remove(tx, queue, Move.REROUTE, State.FAILED, [(job.seq, job.flags, job.priority)])


def _keep(tx: Tx, job: Job, found: Rerouted) -> None:
    """It stays a dead letter, with the reason of today."""
    if found.data is not None:
        changes.set_data(tx, job.seq, found.data)
    history: History = msgspec.structs.replace(
        job.history,
        reason=found.reason,
        error=found.error[:MAX_ERROR_CHARS],
        retries=job.history.retries + 1,
        retried_at_ms=tx.now_ms,
        retry_at_ms=None,
    )
    changes.keep_dead(tx, job.seq, history_blob(history))
