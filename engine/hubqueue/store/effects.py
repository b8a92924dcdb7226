"""What follows from a group of verbs, beyond the file: told by the store, in this order, to whoever opened it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hubqueue.model.verbs import Event
from hubqueue.store.queues import NEVER, QueueRow
from hubqueue.store.tx import Count, Tx


def _nothing(*told: Any) -> None: ...


class Alarm:
    """When maintenance looks what is due, of itself: only what is due before that has to be told."""

    __slots__ = ("at_ms",)

    def __init__(self) -> None:
        self.at_ms = NEVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """Given to a store when it is made. Each must be quick: it runs between two groups.

    prepare: before the commit of a group with events, with its transaction; it may write. Then, once it is committed:
    settled: jobs whose leases were ended; counted: what it counted for the statistics, of how many verbs, and how long
    its commit took (seconds); publish: its events. After its replies: wake: jobs that have become available, by queue,
    unless nobody is in `parked`; schedule: there is something to do at this time (Unix ms), before the `alarm`.
    """

    prepare: Callable[[Tx], None] = _nothing
    settled: Callable[[list[str]], None] = _nothing
    counted: Callable[[list[Count], int, float], None] = _nothing
    publish: Callable[[list[Event]], None] = _nothing
    parked: Mapping[str, object] = field(default_factory=dict)
    wake: Callable[[dict[QueueRow, int]], None] = _nothing
    alarm: Alarm = field(default_factory=Alarm)
    schedule: Callable[[int], None] = _nothing


NONE = Effects()
