"""The open transaction: what a verb gets to work with, and the journal of what follows from its commit.

Verbs decide on what is committed plus the journal: counts are moved in memory at once and moved back if the
group fails. Nothing in the journal leaves the process before COMMIT.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from hubqueue.errors import HubqueueError
from hubqueue.model.bounds import DEFAULT_BOUNDS, QueueBounds
from hubqueue.model.histogram import BUCKETS
from hubqueue.model.state import State
from hubqueue.model.verbs import Event
from hubqueue.store.identity import Identity
from hubqueue.store.queues import NEVER, PRIORITIZED, QueueRow, Queues
from hubqueue.store.seqs import Seqs
from hubqueue.system import System

log = logging.getLogger(__name__)


class Tally:
    """What is counted for statistics, as indexes. Plain ints: they are used by every verb."""

    PUSHED = 0
    PULLED = 1
    COMPLETED = 2
    FAILED = 3
    SIZE = 4
    # beyond: durations by their bucket (model/histogram), for hub/history only
    WAITED = 4
    RAN = WAITED + BUCKETS


Count = tuple[QueueRow, int, int]  # queue, Tally, how many


class Sampling:
    """Of which jobs times are taken: of those whose seq has none of the bits in `mask`; 0 is all of them."""

    __slots__ = ("mask",)

    def __init__(self) -> None:
        self.mask = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What verbs ask whoever opened the store, given to the store when it is made.

    zone: the time zone of patterns that name none, None is UTC; watched: whether somebody subscribed to a queue;
    bounds: of a queue; refusal: why new jobs are not taken now; make_room: drops old jobs for so many new ones, where a
    bound says so; router: what becomes of a message that is routed again (hub.verbs.reroute.Router), None: nobody
    knows; awaited: who is to be told of the end of a job, by its seq; sampling: whose times are taken.
    """

    zone: str | None = None
    watched: Callable[[str], bool] = lambda queue: False
    bounds: Callable[[str], QueueBounds] = lambda queue: DEFAULT_BOUNDS
    refusal: Callable[[], HubqueueError | None] = lambda: None
    make_room: Callable[[Tx, int], None] = lambda tx, wanted: None
    router: Any = None
    awaited: Mapping[int, Callable[[State | None], None]] = field(default_factory=dict)
    sampling: Sampling = field(default_factory=Sampling)


class Tx:
    """One per store, reused by every group. A verb may keep no reference to it."""

    __slots__ = (
        "_clean_changes",
        "_deltas",
        "after",
        "awaited",
        "bounds",
        "db",
        "due_ms",
        "durable",
        "events",
        "evicted",
        "execute",
        "identity",
        "make_room",
        "now_ms",
        "ord_ms",
        "queues",
        "ready",
        "refusal",
        "router",
        "sampling",
        "seqs",
        "short_of_disk",
        "system",
        "tallies",
        "undo",
        "watched",
        "zone",
    )

    def __init__(
        self,
        db: sqlite3.Connection,
        queues: Queues,
        seqs: Seqs,
        identity: Identity,
        policy: Policy,
        system: System,
    ) -> None:
        self.db = db
        self.execute = db.execute
        self.queues = queues
        self.seqs = seqs
        self.identity = identity
        self.system = system
        self.now_ms = 0
        self.ord_ms = 0
        self.short_of_disk = False  # what may be small is to be small
        self.durable = False  # set by a verb whose reply must wait for the sync
        self.ready: dict[QueueRow, int] = {}  # queue -> jobs that became available
        self.events: list[Event] = []
        self.after: list[Callable[[], Any]] = []  # run once the group is committed
        self.undo: list[Callable[[], Any]] = []  # run, newest first, if it is not
        self.due_ms = NEVER  # the earliest time this group gave maintenance something to do
        self.evicted = 0  # jobs this group dropped because of a bound
        self.tallies: list[Count] = []  # for the statistics, in this group
        # the policy, at hand: it is asked for every job
        self.zone = policy.zone
        self.watched = policy.watched
        self.bounds = policy.bounds
        self.refusal = policy.refusal
        self.make_room = policy.make_room
        self.router = policy.router
        self.awaited = policy.awaited
        self.sampling = policy.sampling
        self._deltas: dict[tuple[QueueRow, int], int] = {}
        self._clean_changes = 0

    def count(self, queue: QueueRow, counter: int, change: int) -> None:
        """Move a counter (a State, PRIORITIZED or EXPIRED); it is stored with the group."""
        queue.n[counter] += change
        if counter == State.ACTIVE and change < 0 and (queue.limits is not None or queue.grouped):
            self.available(queue, -change)  # a place is free again
        key = (queue, int(counter))
        self._deltas[key] = self._deltas.get(key, 0) + change

    def count_job(self, queue: QueueRow, state: int, priority: int, change: int) -> None:
        """Move the counters of one job."""
        self.count(queue, state, change)
        if state == State.WAITING and priority > 0:
            self.count(queue, PRIORITIZED, change)

    def tally(self, queue: QueueRow, tally: int, n: int) -> None:
        """Count for the statistics, once the group is committed."""
        self.tallies.append((queue, tally, n))

    def available(self, queue: QueueRow, jobs: int = 1) -> None:
        """Jobs may be leased once this group is committed: wakes as many waiters."""
        self.ready[queue] = self.ready.get(queue, 0) + jobs

    def due(self, at_ms: int) -> None:
        """Maintenance has something to do at this time."""
        self.due_ms = min(self.due_ms, at_ms)

    def emit(
        self,
        kind: str,
        queue: str,
        job_id: str,
        *,
        prev: str | None = None,
        error: str | None = None,
        data: bytes | None = None,
        terminal: bool | None = None,
        progress: float | None = None,
        delay_ms: int | None = None,
        name: str | None = None,
    ) -> None:
        """Publish an event after the commit. Callers on hot paths ask `watched` first."""
        if self.watched(queue):
            at_ms = self.now_ms
            event = Event(kind, queue, job_id, at_ms, prev, error, data, terminal, progress, delay_ms, name)
            self.events.append(event)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """All or nothing for one verb among the others of its group: for verbs that may refuse after a write."""
        mark = (dict(self._deltas), dict(self.ready), len(self.events), len(self.after), len(self.undo), self.evicted)
        tallies = len(self.tallies)
        self.execute("SAVEPOINT verb")
        try:
            yield
        except sqlite3.Error:
            raise  # the whole group is given up by the store
        except BaseException:
            self.execute("ROLLBACK TO verb")
            self.execute("RELEASE verb")
            self._back_to(*mark)
            del self.tallies[tallies:]
            self._clean_changes = self.db.total_changes
            raise
        self.execute("RELEASE verb")

    @contextmanager
    def apart(self, what: str) -> Iterator[None]:
        """As `savepoint`, for what must not cost those beside it: a defect of it is only logged."""
        try:
            with self.savepoint():
                yield
        except sqlite3.Error:
            raise
        except Exception:
            log.exception("%s failed: a defect", what)

    def wrote_since(self, changes: int) -> bool:
        """Whether a verb that refused has left writes behind (a defect in that verb)."""
        return self.db.total_changes > max(changes, self._clean_changes)

    def store_counters(self) -> None:
        """Write the counters this group moved: one row per touched queue."""
        there = self.queues.by_id  # a queue that was obliterated in this group has no row any more
        # in order: what is written must not hang on where objects lie in memory
        touched = {queue: None for (queue, _), change in self._deltas.items() if change and queue.id in there}
        for queue in touched:
            self.execute(STORE_COUNTER, (queue.id, *queue.n))

    def committed(self) -> None:
        """Forget the journal: the group is in the file."""
        self._deltas.clear()
        self.undo.clear()
        self.evicted = 0
        self.due_ms = NEVER
        self.durable = False

    def roll_back(self) -> None:
        """Take back everything: in the file, and what the journal did in memory."""
        if self.db.in_transaction:
            try:
                self.execute("ROLLBACK")
            except sqlite3.Error as error:
                log.error("Rollback failed. error=%s", error)
        self._back_to({}, {}, 0, 0, 0, 0)
        self.tallies.clear()
        self.due_ms = NEVER
        self.durable = False

    def _back_to(
        self,
        deltas: dict[tuple[QueueRow, int], int],
        ready: dict[QueueRow, int],
        events: int,
        after: int,
        undo: int,
        evicted: int,
    ) -> None:
        for (queue, state), change in self._deltas.items():
            queue.n[state] -= change - deltas.get((queue, state), 0)
        self._deltas = deltas
        self.ready = ready
        self.evicted = evicted
        del self.events[events:]
        del self.after[after:]
        for action in reversed(self.undo[undo:]):
            action()
        del self.undo[undo:]


STORE_COUNTER = """
    INSERT OR REPLACE INTO counter (queue, waiting, delayed, active, waiting_children, completed, failed,
                                    prioritized, expired)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


PADDED = (1, 8, 64, 256)  # few statement texts for lists of any length: SQLite caches each text once


def padded(values: Sequence[int]) -> Iterator[tuple[str, list[int]]]:
    """Slices of a list of integers as (`?,?,...`, values), padded with -1, which matches no row."""
    start = 0
    while start < len(values):
        part = list(values[start : start + PADDED[-1]])
        start += len(part)
        width = next(size for size in PADDED if size >= len(part))
        part += [-1] * (width - len(part))
        yield MARKS[width], part


MARKS = {size: ",".join("?" * size) for size in PADDED}
