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
    """Subscriptions by queue, and to all queues (None). seq: the number of the newest event."""

    def __init__(self) -> None:
        self.seq = 0
        self._by_queue: dict[str | None, list[Receive]] = {}

    def watched(self, queue: str) -> bool:
        return bool(self._by_queue) and (queue in self._by_queue or None in self._by_queue)

    def subscribe(self, queue: str | None, receive: Receive) -> Callable[[], None]:
        """Call `receive` for each event; it must be quick. Returns what ends the subscription."""
        self._by_queue.setdefault(queue, []).append(receive)

        def end() -> None:
            receivers = self._by_queue.get(queue, [])
            if receive in receivers:
                receivers.remove(receive)
                if not receivers:
                    del self._by_queue[queue]

        return end

    def publish(self, events: list[Event]) -> None:
        for event in events:
            self.seq += 1
            force_setattr(event, "seq", self.seq)  # nobody has seen it before
            for receive in (*self._by_queue.get(event.queue, ()), *self._by_queue.get(None, ())):
                try:
                    receive(event)
                except Exception:
                    log.exception("A subscriber failed: a defect of it")
