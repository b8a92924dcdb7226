"""What the integration knows of a hub at a moment, as frozen values made of the hub's answers.

`coordinator.py` makes a new snapshot of the former one; equal snapshots mean that no entity has to be written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

type Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Flow:
    """Jobs that came and went: a number of them, or how many per second."""

    enqueued: float = 0.0
    leased: float = 0.0
    completed: float = 0.0
    failed: float = 0.0

    @classmethod
    def of(cls, given: Message | None) -> Flow:
        given = given or {}
        return cls(*(float(given.get(name) or 0) for name in ("enqueued", "leased", "completed", "failed")))


@dataclass(frozen=True, slots=True)
class QueueState:
    """One queue. oldest_s: how long the first in line has waited. concurrency None: as many as there are workers.

    expired: jobs that were removed unfinished as their time was over, since the queue is there.
    deltas: what happened in the last second, which makes two states with the same counts differ.
    """

    name: str
    paused: bool = False
    waiting: int = 0
    delayed: int = 0
    active: int = 0
    completed: int = 0
    dead: int = 0
    expired: int = 0
    oldest_s: int | None = None
    concurrency: int | None = None
    rates: Flow = Flow()
    deltas: Flow = Flow()

    @property
    def failure_rate(self) -> float | None:
        """Percent of the runs of the last seconds that failed; None while nothing runs."""
        ended = self.rates.completed + self.rates.failed
        return 100 * self.rates.failed / ended if ended else None


@dataclass(frozen=True, slots=True)
class LinkState:
    """One forwarder of the hub. link: up, down, probing or idle."""

    name: str
    queue: str
    to: str
    link: str
    paused: bool
    waiting: int
    oldest_s: int | None
    alert: bool
    error: str | None


@dataclass(frozen=True, slots=True)
class Storage:
    """The disk of the hub; free_bytes None: the hub does not know."""

    used_bytes: int | None = None
    free_bytes: int | None = None
    full: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of it. queues: those that are shown; names: those that there are; complete: there are no others."""

    queues: Mapping[str, QueueState] = field(default_factory=lambda: MappingProxyType({}))
    links: Mapping[str, LinkState] = field(default_factory=lambda: MappingProxyType({}))
    storage: Storage = Storage()
    names: frozenset[str] = frozenset()
    complete: bool = False

    def with_queues(
        self, changed: Iterable[QueueState], names: Iterable[str] = (), gone: Iterable[str] = ()
    ) -> Snapshot:
        """names: of those that have changed, shown or not."""
        gone = frozenset(gone)
        kept = {name: state for name, state in self.queues.items() if name not in gone}
        queues = MappingProxyType({**kept, **{state.name: state for state in changed}})
        return replace(self, queues=queues, names=(self.names - gone).union(names))


def of_overview(
    answer: Message, shown: Iterable[str], concurrency: Mapping[str, int | None], former: Snapshot | None
) -> Snapshot:
    """The snapshot that an answer to Overview makes; what only summaries tell is kept of the former one.

    shown: the queues that become devices.
    """
    wanted = frozenset(shown)
    known = former.queues if former is not None else {}
    queues = {}
    names = frozenset(each["name"] for each in answer["queues"])
    for each in answer["queues"]:
        name = each["name"]
        if name not in wanted:
            continue
        before = known.get(name, QueueState(name))
        queues[name] = replace(
            before,
            **_counts(each),
            oldest_s=_seconds(each.get("oldestMs")),
            concurrency=concurrency.get(name, before.concurrency),
        )
    storage = answer.get("storage") or {}
    return Snapshot(
        queues=MappingProxyType(queues),
        links=MappingProxyType({each["name"]: _link(each) for each in answer.get("forwarders") or ()}),
        storage=Storage(
            used_bytes=_whole(storage.get("usedBytes")),
            free_bytes=_whole(storage.get("freeBytes")),
            full=bool(storage.get("diskFull")),
        ),
        names=names,
        complete=answer["queueCount"] == len(names),
    )


def of_summary(told: Message, at_ms: float, before: QueueState | None) -> QueueState:
    """The state that a summary of one queue makes."""
    oldest = told.get("oldestAt")
    return replace(
        before or QueueState(told["queue"]),
        **_counts(told),
        oldest_s=None if oldest is None else _seconds(at_ms - oldest),
        rates=Flow.of(told.get("rates")),
        deltas=Flow.of(told.get("deltas")),
    )


def _counts(told: Message) -> dict[str, Any]:
    return {
        "paused": bool(told["paused"]),
        "waiting": int(told["waiting"]) + int(told["prioritized"]) + int(told["waitingChildren"]),
        "delayed": int(told["delayed"]),
        "active": int(told["active"]),
        "completed": int(told["completed"]),
        "dead": int(told["failed"]),
        "expired": int(told["expired"]),
    }


def _link(told: Message) -> LinkState:
    return LinkState(
        name=told["name"],
        queue=told["queue"],
        to=told["to"],
        link=told["link"],
        paused=bool(told["paused"]),
        waiting=int(told["waiting"]) + int(told["delayed"]) + int(told["inFlight"]),
        oldest_s=_seconds(told.get("oldestMs")),
        alert=bool(told.get("alert")),
        error=told.get("error"),
    )


def _seconds(milliseconds: float | None) -> int | None:
    return None if milliseconds is None else max(0, round(milliseconds / 1000))


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
