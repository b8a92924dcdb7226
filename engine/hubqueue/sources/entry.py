"""Putting a batch into the hub, however long that takes: what every feed does between reading and acknowledging."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from hubqueue.errors import HubqueueError, QueueFull
from hubqueue.hub.hub import Hub
from hubqueue.hub.verbs.feed import feed
from hubqueue.ingest.batches import BATCH, in_slices
from hubqueue.ingest.outcome import Routed
from hubqueue.model.backoff import ExponentialBackoff
from hubqueue.model.outcome import Blob
from hubqueue.sources.message import Message
from hubqueue.sources.routing import SourceRouting
from hubqueue.sources.status import Status

log = logging.getLogger(__name__)

FIRST_RETRY_S, MAX_RETRY_S = 0.2, 5.0


class Entry:
    """One stream of messages into the hub: a partition, or an AMQP queue."""

    def __init__(self, hub: Hub, status: Status, routing: SourceRouting) -> None:
        self._hub = hub
        self._status = status
        self._routing = routing
        self._backoff = ExponentialBackoff(FIRST_RETRY_S, MAX_RETRY_S)
        self.limit = BATCH  # messages in the next batch: fewer while a full queue takes only some
        self.refusal: str | None = None  # the code with which the hub takes none now

    async def put(self, messages: Sequence[Message], marks: Sequence[Blob] = ()) -> float | None:
        """Store the jobs of a batch. None: done; else when to try again, in seconds from now."""
        routed, count = await self._routed(messages), len(messages)
        try:
            placed = await self._hub.run(
                lambda tx: feed(tx, routed.taken, routed.dead, marks), linger=count < BATCH // 5, size=routed.bytes
            )
        except HubqueueError as error:
            return self._refused(error, count)
        if self.refusal is not None:
            log.info("messages are taken again source=%s", self._status.name)
        self.refusal = None
        self._backoff.reset()
        self.limit = min(BATCH, self.limit * 2)
        counts = self._status.counts
        counts.received += count
        counts.passed += routed.passed
        counts.place(placed)
        return None

    async def _routed(self, messages: Sequence[Message]) -> Routed:
        now_ms = self._hub.now_ms()
        routed = Routed()
        await in_slices(messages, lambda some: self._routing.route(some, now_ms, routed))
        return routed

    def _refused(self, error: HubqueueError, count: int) -> float:
        if isinstance(error, QueueFull) and count > 1:
            self.limit = count // 2
            return 0.0
        if self.refusal is None:
            log.warning("messages are held back, the hub takes none source=%s code=%s", self._status.name, error.code)
        self.refusal = error.code
        return self._backoff.next_s()
