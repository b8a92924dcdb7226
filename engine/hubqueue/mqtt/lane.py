"""A lane: one link and its rules. Messages in, jobs committed and synced, and only then acknowledged (promise P2).

Two loops, so that a batch is stored while the one before it is synced; one batch at a time is stored, so that the
jobs of a topic keep the order of its messages. What cannot be stored now is kept in memory, in order, bounded by
Receive Maximum and bytes, and tried again: nothing is acknowledged, nothing is lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from hubqueue.broker.broker import Broker
from hubqueue.broker.connection import Status
from hubqueue.broker.message import Message
from hubqueue.client.backoff import Backoff
from hubqueue.errors import HubqueueError
from hubqueue.hub.hub import Hub
from hubqueue.hub.verbs.intake import Dead, Placed, intake
from hubqueue.model.outcome import Blob
from hubqueue.mqtt.envelope import unread_job
from hubqueue.mqtt.inflight import Delivery, Inflight
from hubqueue.mqtt.link import Link, LinkState, Where
from hubqueue.mqtt.routing import Passed, Refused, Routed, Routing, Taken
from hubqueue.mqtt.stats import Stats
from hubqueue.mqtt.tasks import watched

log = logging.getLogger(__name__)

BATCH: Final = 500  # messages in one transaction: a few ms of the loop
BATCH_BYTES: Final = 4_194_304
SLICE: Final = 100  # messages routed before other work on the loop gets a turn: about 1 ms
LINGER_BELOW: Final = 100  # a batch this large is worth a commit of its own; a smaller one may wait for company
FIRST_RETRY_S, MAX_RETRY_S = 0.2, 10.0
CLOSE_S: Final = 5.0  # how long `close` waits for what was received
BLOBS: Final = "mqtt"


class Aside(Protocol):
    """Takes messages of a topic that become no jobs."""

    subscription: str

    def received(self, message: Message) -> bool:
        """Take a message; whether it was one of them."""
        ...


class Lane:
    """One client of the broker. `start` until `close`."""

    def __init__(
        self,
        hub: Hub,
        broker: Broker,
        client_id: str,
        routing: Routing,
        stats: Stats,
        *,
        counted: Callable[[Routed, int], None] = lambda routed, now_ms: None,
        changed: Callable[[LinkState], None] = lambda state: None,
        status: Status | None = None,
        aside: Aside | None = None,
        where: Where | None = None,
    ) -> None:
        """aside: takes messages that become no jobs."""
        self._hub = hub
        self._broker = broker
        self._client_id = client_id
        self._routing = routing
        self._stats = stats
        self._counted = counted
        self._changed = changed
        self._inflight = Inflight()
        self._arrived: deque[Delivery] = deque()
        self._unsynced: list[Delivery] = []
        self._wake_store = asyncio.Event()
        self._wake_sync = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._subscribed = asyncio.Event()
        self._closing = False
        self._tasks: list[asyncio.Task[None]] = []
        self._aside = aside
        self._subscriptions = routing.subscriptions()
        if aside is not None:
            self._subscriptions |= {aside.subscription: 0}
        self.link = Link(
            broker,
            client_id,
            self._subscriptions,
            begun=self._inflight.begin,
            received=self._received,
            changed=self._link_changed,
            status=status,
            where=where,
        )

    async def start(self) -> None:
        """Connect and take messages."""
        known = await self._known_subscriptions()
        await self._remember(sorted({*known, *self._subscriptions}))
        self.link.forget([text for text in known if text not in self._subscriptions])
        loops = {"store": self._store(), "sync": self._sync(), "remember": self._remember_new()}
        self._tasks = [watched(loop, f"mqtt-{name}-{self._client_id}") for name, loop in loops.items()]
        self.link.start()

    async def close(self) -> None:
        """Take no more, store and acknowledge what was received if that goes quickly, and leave."""
        self._closing = True
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._empty.wait()
        except TimeoutError:
            log.warning("messages are left to the broker client=%s count=%d", self._client_id, len(self._inflight))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.link.close()

    @property
    def unacknowledged(self) -> int:
        """Messages that the broker waits to hear about."""
        return len(self._inflight)

    def _received(self, message: Message) -> None:
        if self._closing:
            return
        if self._aside is not None and not message.mid and self._aside.received(message):
            return  # what a rule subscribed to with QoS 1 comes besides, with an id
        delivery = self._inflight.take(message)
        if delivery is None:
            self._stats.redelivered += 1
            self._acknowledge()  # it may be stored already
            return
        self._stats.received += 1
        full = self._inflight.held_bytes > self._broker.max_held_bytes
        if not message.mid and (full or self._inflight.held_qos0 > self._broker.max_held_qos0):
            self._inflight.store(delivery)
            self._stats.dropped += 1
            return
        if full:
            self.link.pause()
        self._empty.clear()
        self._arrived.append(delivery)
        self._wake_store.set()

    async def _store(self) -> None:
        """The loop that stores batches, one after the other."""
        while True:
            if not self._arrived:
                self._wake_store.clear()
                await self._wake_store.wait()
            batch = self._next_batch()
            taken: list[Taken] = []
            dead: list[Dead] = []
            for at in range(0, len(batch), SLICE):
                if at:
                    await asyncio.sleep(0)
                self._route(batch[at : at + SLICE], taken, dead)
            if taken or dead:
                self._count(await self._until_stored(taken, dead, linger=len(batch) < LINGER_BELOW))
            self._unsynced += batch
            self._wake_sync.set()

    async def _sync(self) -> None:
        """The loop that waits for the disk, and then acknowledges."""
        backoff = Backoff(FIRST_RETRY_S, MAX_RETRY_S)
        while True:
            if not self._unsynced:
                self._wake_sync.clear()
                await self._wake_sync.wait()
            batch, self._unsynced = self._unsynced, []
            while True:
                try:
                    await self._hub.sync()
                    break
                except HubqueueError:  # logged by the store; until it has repaired itself nothing is acknowledged
                    await asyncio.sleep(backoff.next_s())
            for delivery in batch:
                self._inflight.store(delivery)
            self._acknowledge()
            if not self._inflight.held_bytes:
                self._empty.set()
            if self._inflight.held_bytes <= self._broker.max_held_bytes // 2:
                self.link.resume()

    def _next_batch(self) -> list[Delivery]:
        batch: list[Delivery] = []
        size = 0
        while self._arrived and len(batch) < BATCH and size < BATCH_BYTES:
            delivery = self._arrived.popleft()
            size += delivery.size
            batch.append(delivery)
        return batch

    def _route(self, batch: Sequence[Delivery], taken: list[Taken], dead: list[Dead]) -> None:
        now_ms = self._hub.now_ms()
        for delivery in batch:
            passed = True
            for routed in self._routed(delivery.message, now_ms):
                self._counted(routed, now_ms)
                if isinstance(routed, Taken):
                    taken.append(routed)
                elif isinstance(routed, Passed):
                    continue
                else:
                    dead.append((routed.job, routed.reason, routed.error))
                passed = False
            self._stats.passed += passed

    def _routed(self, message: Message, now_ms: int) -> list[Routed]:
        try:
            return self._routing.route(message, now_ms)
        except Exception as error:  # a defect that one message found must not stop the lane
            log.exception("a message could not be routed topic=%s", message.topic)
            return [Refused(None, unread_job(message, None, now_ms), "failed", repr(error))]

    async def _until_stored(self, taken: list[Taken], dead: list[Dead], *, linger: bool) -> Placed:
        """Store a batch, however often it takes."""
        backoff = Backoff(FIRST_RETRY_S, MAX_RETRY_S)
        size = sum(len(each.job.data or b"") for each in taken)
        held = False
        while True:
            try:
                placed = await self._hub.run(lambda tx: intake(tx, taken, dead), linger=linger, size=size)
            except HubqueueError as error:
                if not held:
                    log.warning(
                        "messages are held, the hub takes no jobs client=%s code=%s", self._client_id, error.code
                    )
                held = True
                await asyncio.sleep(backoff.next_s())
            else:
                if held:
                    log.info("messages are taken again client=%s", self._client_id)
                return placed

    def _count(self, placed: Placed) -> None:
        self._stats.enqueued += placed.enqueued
        self._stats.unroutable += placed.dead
        self._stats.overflowed += placed.overflowed
        self._stats.dropped += placed.dropped

    def _acknowledge(self) -> None:
        """Acknowledge what can be; without a connection it stays known, should the broker send it again."""
        if self.link.connected:
            mids = self._inflight.acknowledgeable()
            self.link.acknowledge(mids)
            self._stats.acknowledged += len(mids)

    def _link_changed(self, state: LinkState) -> None:
        if state.up:
            self._subscribed.set()
        self._changed(state)

    async def _remember_new(self) -> None:
        await self._subscribed.wait()
        await self._remember(sorted(self._subscriptions))

    async def _known_subscriptions(self) -> list[str]:
        """What this client may have subscribed to in an earlier life; the broker's session still has it."""
        blob = await self._hub.blob(BLOBS, self._client_id)
        return [] if blob is None else msgspec.msgpack.decode(blob, type=list[str])

    async def _remember(self, subscriptions: list[str]) -> None:
        blob = Blob(BLOBS, self._client_id, msgspec.msgpack.encode(subscriptions))
        await self._hub.settle([], blobs=[blob])
