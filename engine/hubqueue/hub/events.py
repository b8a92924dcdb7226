"""Who wants to hear what happens. Events are built only for queues that somebody listens to.

Each gets its number here, when it is published: numbers only grow while a hub is open, in the order of events.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from msgspec.structs import force_setattr

from hubqueue.model.verbs import Event

log = logging.getLogger(__name__)

Receive = Callable[[Event], Any]


class Events:
    """`subscribers` by queue, and to all queues (None). seq: the number of the newest event."""

    def __init__(self) -> None:
        self.seq = 0
        self.subscribers: dict[str | None, list[Receive]] = {}

    def subscribe(self, queue: str | None, receive: Receive) -> Callable[[], None]:
        """Call `receive` for each event; it must be quick. Returns what ends the subscription."""
        self.subscribers.setdefault(queue, []).append(receive)

        def end() -> None:
            receivers = self.subscribers.get(queue, [])
            if receive in receivers:
                receivers.remove(receive)
                if not receivers:
                    del self.subscribers[queue]

        return end

    def publish(self, events: list[Event]) -> None:
        for event in events:
            self.seq += 1
            force_setattr(event, "seq", self.seq)  # nobody has seen it before
            for receive in (*self.subscribers.get(event.queue, ()), *self.subscribers.get(None, ())):
                try:
                    receive(event)
                except Exception:
                    log.exception("A subscriber failed: a defect of it")
