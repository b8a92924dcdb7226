"""The open transaction: what a verb gets to work with, and the journal of what follows from its commit.

Verbs decide on what is committed plus the journal: counts are moved in memory at once and moved back if the
group fails. Nothing in the journal leaves the process before COMMIT.
"""

from __future__ import annotations

import logging
import sqlite3
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from hubqueue.errors import HubqueueError
from hubqueue.model.bounds import DEFAULT_BOUNDS, QueueBounds
from hubqueue.model.histogram import BUCKETS
from hubqueue.model.state import State
from hubqueue.model.verbs import Event
from hubqueue.store.defects import is_defect
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

    zone: the time zone of patterns that name none, None is UTC; subscribers: to events, by queue, and to all (None);
    bounds: of a queue; refusal: why new jobs are not taken now; make_room: drops old jobs for so many new ones, where
    the size of the file is bounded; router: what becomes of a message that is routed again (hub.verbs.reroute.Router),
    None: nobody knows; awaited: who is to be told of the end of a job, by its seq; sampling: whose times are taken.
    """

    zone: str | None = None
    subscribers: Mapping[str | None, object] = field(default_factory=dict)
    bounds: Callable[[str], QueueBounds] = lambda queue: DEFAULT_BOUNDS
    refusal: Callable[[], HubqueueError | None] = lambda: None
    make_room: Callable[[Tx, int], None] | None = None
    router: Any = None
    awaited: Mapping[int, Callable[[State | None], None]] = field(default_factory=dict)
    sampling: Sampling = field(default_factory=Sampling)


class Tx:
    """One per store, reused by every group. A verb may keep no reference to it."""

    __slots__ = (
        "_before",
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
        "settled",
        "short_of_disk",
        "subscribers",
        "system",
        "taken_back",
        "tallies",
        "undo",
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
        self.settled: list[str] = []  # jobs whose leases were ended by those who hold them
        self.after: list[Callable[[], Any]] = []  # run once the group is committed
        self.undo: list[Callable[[], Any]] = []  # run, newest first, if it is not
        self.due_ms = NEVER  # the earliest time this group gave maintenance something to do
        self.evicted = 0  # jobs this group dropped because of a bound
        self.tallies: list[Count] = []  # for the statistics, in this group
        # the policy, at hand: it is asked for every job
        self.zone = policy.zone
        self.subscribers = policy.subscribers
        self.bounds = policy.bounds
        self.refusal = policy.refusal
        self.make_room = policy.make_room
        self.router = policy.router
        self.awaited = policy.awaited
        self.sampling = policy.sampling
        self._before: dict[QueueRow, list[int]] = {}  # the counters of touched queues, as they are in the file
        self.taken_back = 0  # rows that the verb has changed and taken back itself

    def counts(self, queue: QueueRow) -> list[int]:
        """The counters of a queue, to be moved (by State, PRIORITIZED or EXPIRED); they are stored with the group."""
        if queue not in self._before:
            self._before[queue] = queue.n.copy()
        return queue.n

    def count(self, queue: QueueRow, counter: int, change: int) -> None:
        """Move one counter."""
        self.counts(queue)[counter] += change
        if counter == State.ACTIVE and change < 0 and (queue.limits is not None or queue.grouped):
            self.available(queue, -change)  # a place is free again

    def count_job(self, queue: QueueRow, state: int, priority: int, change: int) -> None:
        """Move the counters of one job."""
        self.count(queue, state, change)
        if state == State.WAITING and priority > 0:
            self.count(queue, PRIORITIZED, change)

    def available(self, queue: QueueRow, jobs: int = 1) -> None:
        """Jobs may be leased once this group is committed: wakes as many waiters."""
        self.ready[queue] = self.ready.get(queue, 0) + jobs

    def watched(self, queue: str) -> bool:
        """Whether somebody is to be told of the events of a queue."""
        return bool(self.subscribers) and (queue in self.subscribers or None in self.subscribers)

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
        """Publish an event after the commit, if anybody is to be told."""
        if self.watched(queue):
            at_ms = self.now_ms
            event = Event(kind, queue, job_id, at_ms, prev, error, data, terminal, progress, delay_ms, name)
            self.events.append(event)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """All or nothing for one verb among the others of its group: for verbs that may refuse after a write."""
        counts = {queue: queue.n.copy() for queue in self._before}
        kept = [(each, len(each)) for each in (self.events, self.settled, self.after, self.tallies)]
        mark = (counts, dict(self.ready), kept, len(self.undo), self.evicted)
        clean = self.taken_back - self.db.total_changes
        self.execute("SAVEPOINT verb")
        try:
            yield
        except BaseException as error:
            if isinstance(error, Exception) and not is_defect(error):
                raise  # the whole group is given up by the store
            self.execute("ROLLBACK TO verb")
            self.execute("RELEASE verb")
            self._back_to(*mark)
            self.taken_back = clean + self.db.total_changes
            raise
        self.execute("RELEASE verb")

    @contextmanager
    def apart(self, what: str) -> Iterator[None]:
        """As `savepoint`, for what must not cost those beside it: a defect of it is only logged."""
        try:
            with self.savepoint():
                yield
        except Exception as error:
            if not is_defect(error):
                raise
            log.exception("%s failed: a defect", what)

    def wrote_since(self, changes: int) -> bool:
        """Whether a verb that refused has left writes behind (a defect in that verb)."""
        return self.db.total_changes > changes + self.taken_back

    def store_counters(self) -> None:
        """Write the counters this group moved: one row per touched queue."""
        there = self.queues.by_id  # a queue that was obliterated in this group has no row any more
        for queue, before in self._before.items():
            if queue.n != before and queue.id in there:
                self.execute(STORE_COUNTER, (queue.id, *queue.n))

    def committed(self) -> None:
        """Forget the journal: the group is in the file."""
        self._before.clear()
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
        kept = [(each, 0) for each in (self.events, self.settled, self.after, self.tallies)]
        self._back_to({}, {}, kept, 0, 0)
        self.due_ms = NEVER
        self.durable = False

    def _back_to(
        self,
        counts: dict[QueueRow, list[int]],
        ready: dict[QueueRow, int],
        kept: list[tuple[list[Any], int]],
        undo: int,
        evicted: int,
    ) -> None:
        for queue in [queue for queue in self._before if queue not in counts]:
            queue.n[:] = self._before.pop(queue)
        for queue, n in counts.items():
            queue.n[:] = n
        self.ready = ready
        self.evicted = evicted
        for journal, length in kept:
            del journal[length:]
        for action in reversed(self.undo[undo:]):
            action()
        del self.undo[undo:]


STORE_COUNTER = """
    INSERT OR REPLACE INTO counter (queue, waiting, delayed, active, waiting_children, completed, failed,
                                    prioritized, expired)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


PADDED = (1, 8, 64, 256)  # few statement texts for lists of any length: SQLite caches each text once


def padded(values: Sequence[int]) -> list[tuple[str, list[int]]]:
    """Slices of a list of integers as (`?,?,...`, values), padded with -1, which matches no row."""
    slices = []
    for start in range(0, len(values), PADDED[-1]):
        part = list(values[start : start + PADDED[-1]])
        width = PADDED[bisect_left(PADDED, len(part))]
        part += [-1] * (width - len(part))
        slices.append((MARKS[width], part))
    return slices


MARKS = {size: ",".join("?" * size) for size in PADDED}
