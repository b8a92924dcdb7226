"""The events of the last while, for subscribers that come back after their connection broke.

Kept in memory only, within bounds, and only for what somebody follows or followed until a minute ago. A client says
what it had seen, as (epoch, seq): it gets exactly what came after that, or is told that there is a gap.
Source: engine-rules 32.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from hubqueue.hub.events import Events, Receive
from hubqueue.model.verbs import Event

KEPT_S: Final = 60.0  # after the last one who followed a queue went
MAX_EVENTS: Final = 10_000
MAX_BYTES: Final = 4 * 1024 * 1024
EVENT_BYTES: Final = 300  # what an event costs beside its data


class ReplayBuffer:
    """One per hub. epoch: names this opening of the hub; numbers of another one mean nothing here."""

    def __init__(self, events: Events, epoch: str) -> None:
        self.epoch = epoch
        self._events = events
        self._kept: deque[Event] = deque()
        self._kept_bytes = 0
        self._dropped = 0  # the newest number that is not kept any more
        self._topics: dict[str | None, _Topic] = {}

    @property
    def seq(self) -> int:
        """The number of the newest event."""
        return self._events.seq

    def follow(self, queue: str | None, receive: Receive) -> Callable[[], None]:
        """As `Events.subscribe`, and what happens is kept for a while, also after the end."""
        topic = self._topics.get(queue)
        if topic is None:
            topic = self._topics[queue] = _Topic(self.seq, self._events.subscribe(queue, self._keep))
        topic.followers += 1
        if topic.lapse is not None:
            topic.lapse.cancel()
            topic.lapse = None
        stop = self._events.subscribe(queue, receive)

        def end() -> None:
            stop()
            topic.followers -= 1
            if not topic.followers:
                topic.lapse = asyncio.get_running_loop().call_later(KEPT_S, self._forget, queue)

        return end

    def since(self, queue: str | None, seq: int, epoch: str | None) -> tuple[list[Event], bool]:
        """What is kept of the events after this one, and whether that is all of them."""
        if epoch != self.epoch:
            return [], False
        begun = [self._topics[each].since for each in {queue, None} if each in self._topics]
        whole = bool(begun) and max(min(begun), self._dropped) <= seq <= self.seq
        return [each for each in self._kept if each.seq > seq and queue in (None, each.queue)], whole

    def _keep(self, event: Event) -> None:
        if self._kept and self._kept[-1] is event:
            return  # its queue and all queues are followed
        self._kept.append(event)
        self._kept_bytes += _size(event)
        while len(self._kept) > MAX_EVENTS or self._kept_bytes > MAX_BYTES:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        oldest = self._kept.popleft()
        self._kept_bytes -= _size(oldest)
        self._dropped = oldest.seq

    def _forget(self, queue: str | None) -> None:
        self._topics.pop(queue).stop()
        if not self._topics:
            self._kept.clear()
            self._kept_bytes = 0


class _Topic:
    """A queue that is followed: since which number, by how many, and the timer when nobody is left."""

    __slots__ = ("followers", "lapse", "since", "stop")

    def __init__(self, since: int, stop: Callable[[], None]) -> None:
        self.since = since
        self.stop = stop
        self.followers = 0
        self.lapse: asyncio.TimerHandle | None = None


def _size(event: Event) -> int:
    return EVENT_BYTES + len(event.data or b"") + len(event.error or "")
