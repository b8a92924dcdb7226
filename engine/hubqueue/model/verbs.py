"""What a hub in this process and a client over TCP each answer in their own way, and the values that all verbs use.

Pipelines, forwarders and lease keepers are written against `Verbs` only, so that each works in the hub's own process
and across the network alike. All other verbs: client.hubclient. Every call may raise errors of `errors.py`.
Units: *_ms milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from enum import Enum
from typing import Any, Final, Protocol

import msgspec

from hubqueue.model.channel import ChannelMessage
from hubqueue.model.job import Enqueueable, Job, Leased
from hubqueue.model.outcome import Blob, Output, Settlement
from hubqueue.model.schedule import Schedule
from hubqueue.model.state import State


class Renewal(Enum):
    """What a heartbeat answers for one lease."""

    RENEWED = "renewed"
    LOST = "lost"
    CANCELLED = "cancelled"


class Counts(msgspec.Struct, frozen=True, gc=False):
    """Jobs of one queue by state. `prioritized` and `paused` are views: they are part of no other number."""

    waiting: int = 0
    prioritized: int = 0
    delayed: int = 0
    active: int = 0
    waiting_children: int = 0
    completed: int = 0
    failed: int = 0
    paused: int = 0


class QueueInfo(msgspec.Struct, frozen=True, gc=False):
    """One queue as `queues` lists it. expired: jobs that their ttl has removed since the queue is there."""

    name: str
    paused: bool
    counts: Counts
    expired: int = 0


class Event(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Something that happened to a job, after its commit. kind: the protocol's eventType. data: MessagePack bytes.

    name: the job's, of one that cannot be asked for any more.
    seq: its number among the events of this opening of the hub, given when it is published.
    """

    kind: str
    queue: str
    job_id: str
    at_ms: int
    prev: str | None = None
    error: str | None = None
    data: bytes | None = None
    terminal: bool | None = None
    progress: float | None = None
    delay_ms: int | None = None
    name: str | None = None
    seq: int = 0


USUAL: Final = "*"  # among kinds: all but those of BY_NAME
BY_NAME: Final = frozenset({"expired"})  # events that only those are told of who name them: older clients know none


def wants(kinds: Collection[str] | None, event: Event) -> bool:
    """Whether one who asked for these kinds of events (None: for none in particular) is told of this one."""
    if kinds is not None and event.kind in kinds:
        return True
    return (kinds is None or USUAL in kinds) and event.kind not in BY_NAME


class Page(msgspec.Struct, frozen=True, gc=False):
    """Jobs of a list, and the cursor of the next page (None: no more)."""

    jobs: list[Job]
    cursor: int | None = None


class Retried(msgspec.Struct, frozen=True):
    """What became of jobs that were to run again. Units: jobs.

    again: they wait, or messages of `_unroutable` became jobs; passed: rules leave these messages out, as wanted;
    kept: they stay as they are, and why says what is in the way of the first.
    """

    again: int = 0
    passed: int = 0
    kept: int = 0
    why: str | None = None

    def __add__(self, later: Retried) -> Retried:
        why = self.why or later.why
        return Retried(self.again + later.again, self.passed + later.passed, self.kept + later.kept, why)

    @property
    def total(self) -> int:
        return self.again + self.passed + self.kept


class Verbs(Protocol):
    """The verbs that carry jobs, their settlements, schedules and events, asynchronous."""

    async def enqueue(self, queue: str, jobs: Sequence[Enqueueable], *, durable: bool = False) -> list[str]:
        """Enqueue all of them or none; ids in the same order (the existing id where deduplicated)."""
        ...

    async def lease(
        self, queue: str, count: int = 1, *, owner: str, lease_ms: int = 30_000, wait_ms: int = 0
    ) -> list[Leased]:
        """Up to `count` jobs; waits up to wait_ms until there is at least one."""
        ...

    async def settle(
        self,
        settlements: Sequence[Settlement],
        *,
        outputs: Sequence[Output] = (),
        blobs: Sequence[Blob] = (),
        expects: Sequence[Blob] = (),
        durable: bool = False,
    ) -> list[str]:
        """End leased jobs, enqueue outputs and store blobs, all or nothing. Ids of the outputs.

        expects: blobs that must be as they are given here, or nothing is done and WrongState says so; with them, an
        answer that is lost is not asked for again (AnswerLost).
        """
        ...

    async def blobs(self, namespace: str, *, after: str = "", limit: int = 1000) -> list[tuple[str, bytes]]:
        """Stored blobs in order of key, those behind `after`: a page, never empty while there are more."""
        ...

    async def extend(self, leases: Sequence[tuple[str, str]], lease_ms: int | None = None) -> list[Renewal]:
        """Renew (id, token) pairs by lease_ms (None: as long as they were leased for)."""
        ...

    async def get(self, id: str) -> Job:
        """The job, or NotFound."""
        ...

    async def list_jobs(
        self,
        queue: str,
        states: Sequence[State] = (),
        *,
        limit: int = 100,
        cursor: int | None = None,
        offset: int = 0,
        ascending: bool = True,
        tags: Collection[str] = (),
    ) -> Page:
        """A page in order of acceptance. tags: only jobs that carry all of them; with these no offset, and a page may
        be short, or empty, and have a cursor: each looks at a bounded number of jobs.
        """
        ...

    async def counts(self, queue: str) -> Counts: ...
    async def queues(self) -> list[QueueInfo]: ...
    async def wait(self, id: str, timeout_ms: int = 30_000) -> Job | None:
        """The job once it has completed or failed; None when the time is over first."""
        ...

    async def upsert_schedule(self, schedule: Schedule) -> None: ...

    async def subscribe(
        self, queue: str | None, receive: Callable[[Event], Any], kinds: Collection[str] | None = None
    ) -> Callable[[], None]:
        """Call `receive` for the events of the queue (None: of all queues), of these kinds. Returns what ends it.

        kinds None: the usual ones, which `*` stands for among others; `expired` is told to those only who name it.
        """
        ...

    async def publish(self, channel: str, data: bytes) -> int:
        """Tell everybody who listens to the channel now; how many listeners there are."""
        ...

    async def hear(self, channel: str, receive: Callable[[ChannelMessage], Any]) -> Callable[[], None]:
        """Call `receive` for every message of the channel (`*`: of all channels). Returns what ends it."""
        ...
