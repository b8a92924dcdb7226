"""Broadcast: clients that subscribed to the same events share what happens, which is collected and encoded once.

An event costs the same for one subscriber and for fifty. A piece leaves when its time has come, when it is large, or
before a reply to one of the subscribers, so that each still gets events and replies in the order of the commits.
Source: engine-rules 32.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from typing import Final, Protocol

from hubqueue.commands.notifications import NotificationEncoder
from hubqueue.hub.replay import ReplayBuffer
from hubqueue.model.verbs import Event, wants

LINGER_S: Final = 0.005  # an event after a silence waits so long for more of its kind: those of one command
FLOW_S: Final = 0.025  # in a steady flow: each write to a client costs as much as many events
MOST_EVENTS: Final = 500
MOST_BYTES: Final = 64 * 1024  # of their data

log = logging.getLogger(__name__)

# events of a queue, or of all (None); of these kinds, or of the usual ones (None)
Topic = tuple[str | None, frozenset[str] | None]
Topics = frozenset[Topic]


class EventBatch:
    """Events that leave together."""

    def __init__(self, events: list[Event]) -> None:
        self.events = events
        self._frames: dict[NotificationEncoder, bytes] = {}

    def frames(self, encoder: NotificationEncoder) -> bytes:
        """All of them in this encoding, made once."""
        frames = self._frames.get(encoder)
        if frames is None:
            frames = self._frames[encoder] = b"".join([encoder.once(event) for event in self.events])
        return frames


class Subscriber(Protocol):
    """A client with what it asked for, by the name under which it did."""

    event_topics: dict[str | None, Topics]
    broadcast: Broadcast | None

    def notify_batch(self, batch: EventBatch) -> None: ...


class Broadcast:
    """Everybody who subscribed to just these topics."""

    def __init__(self, topics: Topics, recent: ReplayBuffer) -> None:
        self.topics = topics
        self.subscribers: dict[Subscriber, None] = {}  # a set in order of arrival
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Event] = []
        self._bytes = 0
        self._seq = 0
        self._timer: asyncio.TimerHandle | None = None
        self._left_at = -math.inf
        self._ends = [recent.follow(queue, self._receiver(kinds)) for queue, kinds in topics]

    def flush(self) -> None:
        """Give everybody what has been collected."""
        if not self._waiting:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch, self._waiting, self._bytes = EventBatch(self._waiting), [], 0
        self._left_at = self._loop.time()
        for subscriber in tuple(self.subscribers):
            try:
                subscriber.notify_batch(batch)
            except Exception:
                log.exception("A listener to events failed: a defect of it")

    def close(self) -> None:
        """Nobody is left."""
        if self._timer is not None:
            self._timer.cancel()
        for end in self._ends:
            end()

    def _receiver(self, kinds: frozenset[str] | None) -> Callable[[Event], None]:
        def receive(event: Event) -> None:
            if event.seq != self._seq and wants(kinds, event):
                self._seq = event.seq  # it may be of a queue that is listened to, and of all queues
                self._add(event)

        return receive

    def _add(self, event: Event) -> None:
        self._waiting.append(event)
        self._bytes += len(event.data or b"")
        if self._bytes > MOST_BYTES or len(self._waiting) >= MOST_EVENTS:
            self.flush()
        elif self._timer is None:
            flows = self._loop.time() - self._left_at < FLOW_S
            self._timer = self._loop.call_later(FLOW_S if flows else LINGER_S, self.flush)


class Broadcasts:
    """All broadcasts of a hub."""

    def __init__(self, recent: ReplayBuffer) -> None:
        self._recent = recent
        self._broadcasts: dict[Topics, Broadcast] = {}

    def move(self, subscriber: Subscriber) -> None:
        """Its topics have changed: it gets what was collected for it, and from now on those of its topics."""
        topics: Topics = frozenset().union(*subscriber.event_topics.values())
        if subscriber.broadcast is not None and subscriber.broadcast.topics != topics:
            subscriber.broadcast.flush()
            self._leave(subscriber, subscriber.broadcast)
        if topics and subscriber.broadcast is None:
            broadcast = self._broadcasts.get(topics)
            if broadcast is None:
                broadcast = self._broadcasts[topics] = Broadcast(topics, self._recent)
            broadcast.flush()
            broadcast.subscribers[subscriber] = None
            subscriber.broadcast = broadcast

    def leave(self, subscriber: Subscriber) -> None:
        """It has no topics any more, and gets no events."""
        subscriber.event_topics.clear()
        if subscriber.broadcast is not None:
            self._leave(subscriber, subscriber.broadcast)

    def _leave(self, subscriber: Subscriber, broadcast: Broadcast) -> None:
        subscriber.broadcast = None
        del broadcast.subscribers[subscriber]
        if not broadcast.subscribers:
            del self._broadcasts[broadcast.topics]
            broadcast.close()
