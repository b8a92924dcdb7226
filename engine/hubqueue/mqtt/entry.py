"""The way of messages into the job file: held, stored, synced, and only then acknowledged (promise P2).

Two loops, so that a batch is stored while the one before it is synced; one batch at a time is stored, so that the
jobs of a topic keep the order of its messages. What cannot be stored now is kept in memory, in order, and tried again:
nothing is acknowledged, nothing is lost. Nothing more is read from the broker at `receive_maximum` messages that it
waits to hear about, whatever it thinks of that number, or at a number of bytes.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from hubqueue.errors import HubqueueError
from hubqueue.hub.hub import Hub
from hubqueue.hub.verbs.ingest import Placed
from hubqueue.hub.verbs.receive import receive
from hubqueue.ingest.batches import BATCH, in_slices
from hubqueue.ingest.outcome import DEFECT, Outcome, Passed, Refused, Routed
from hubqueue.ingest.tasks import watched
from hubqueue.ingest.unread import unread_job
from hubqueue.model.backoff import ExponentialBackoff
from hubqueue.model.outcome import Blob
from hubqueue.mqtt.envelope import kept
from hubqueue.mqtt.inflight import Delivery, Inflight
from hubqueue.mqtt.kept import OpenIds
from hubqueue.mqtt.link import Link
from hubqueue.mqtt.routing import Routing
from hubqueue.mqtt.stats import Stats
from hubqueue.mqtt.subscriptions import Paths, Through
from hubqueue.mqttclient.broker import Broker
from hubqueue.mqttclient.message import Message

log = logging.getLogger(__name__)

BATCH_BYTES: Final = 4_194_304
LINGER_BELOW: Final = 100  # a batch this large is worth a commit of its own; a smaller one may wait for company
FEW_OPEN: Final = 10  # below the window of any broker: it does not wait for these acknowledgements to send more
FIRST_RETRY_S, MAX_RETRY_S = 0.2, 10.0
CLOSE_S: Final = 5.0  # how long `close` waits for what is on its way into the file


class Entry:
    """Of one link. `start` until `close`; `begin` with every connection."""

    def __init__(
        self,
        hub: Hub,
        broker: Broker,
        client_id: str,
        routing: Routing,
        paths: Paths,
        link: Link,
        stats: Stats,
        counted: Callable[[Outcome, int], None],
    ) -> None:
        self.inflight = Inflight()
        self.open_ids = OpenIds(hub, client_id)
        self.unsure = False  # whether the broker still has the session
        self._hub = hub
        self._broker = broker
        self._client_id = client_id
        self._routing = routing
        self._paths = paths
        self._link = link
        self._stats = stats
        self._counted = counted
        self._arrived: deque[Delivery] = deque()
        self._storing: list[Delivery] = []
        self._unsynced: list[Delivery] = []
        self._syncing = False
        self._wake_store = asyncio.Event()
        self._wake_sync = asyncio.Event()
        self._idle = asyncio.Event()
        self._closing = False
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self.inflight.recall(await self.open_ids.read())
        loops = {"store": self._store(), "sync": self._sync()}
        self._tasks = [watched(loop, f"mqtt-{name}-{self._client_id}") for name, loop in loops.items()]

    async def close(self) -> None:
        """Read no more, acknowledge what is in the file, and leave the rest to the broker, which sends it again."""
        self._closing = True
        self._link.pause()
        self._arrived = deque(each for each in self._arrived if not self.inflight.comes_again(each))
        self._wake_store.set()
        self.look()
        self._look_idle()
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._idle.wait()
        except TimeoutError:
            log.warning("what is being stored takes too long, the broker will send it again client=%s", self._client_id)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if len(self.inflight):
            log.info("messages are left to the broker client=%s count=%d", self._client_id, len(self.inflight))

    async def asking(self) -> None:
        """Before a connection is asked for. If the session turns out to be a new one its packet ids begin anew.

        A process that is killed before it can note that must not leave ids that the next one relies on.
        """
        self.unsure = True
        await self.note()

    def begin(self, session_present: bool) -> None:
        """The broker has answered. `note` before anything is subscribed: in a new session nothing comes before that."""
        self.unsure = False
        self.inflight.begin(session_present)

    async def note(self) -> None:
        """Have the open packet ids in the file as they are now. Errors: those of hubs."""
        note = _Note(self, [], leaves=False)
        if (self.inflight.entries(), self.unsure and bool(self.inflight.entries())) != self.open_ids.there:
            await self._hub.run(lambda tx: receive(tx, [], [], note))

    @property
    def quiet(self) -> bool:
        """Whether nothing is on its way."""
        return not (len(self.inflight) or self._arrived or self._storing or self._unsynced)

    def look(self) -> None:
        """Acknowledgements may leave now that could not before."""
        self._wake_sync.set()

    def receive(self, message: Message) -> None:
        """Errors: ProtocolError."""
        if self._closing:
            return
        inflight = self.inflight
        delivery = inflight.take(message)
        if delivery is None:
            self._stats.redelivered += 1
            self.look()  # it may be stored already
            return
        delivery.through, delivery.copy = self._paths.of(message)
        if delivery.copy:
            self._stats.copies += 1
        else:
            self._stats.received += 1
        full = inflight.held_bytes > self._broker.max_held_bytes
        if not message.mid and (full or inflight.held_qos0 > self._broker.max_held_qos0):
            inflight.sync([delivery])
            self._stats.dropped += 1  # each copy: it stands for rules of its own
            return
        if full or len(inflight) >= self._broker.receive_maximum:
            self._link.pause()
        self._arrived.append(delivery)
        self._wake_store.set()

    def _read_on(self) -> None:
        """Read again once half of what may be held is gone: seldom, and before there is nothing left to do."""
        many = len(self.inflight) > self._broker.receive_maximum // 2
        if not (many or self._closing or self.inflight.held_bytes > self._broker.max_held_bytes // 2):
            self._link.resume()

    # jobs in

    async def _store(self) -> None:
        """The loop that stores batches, one after the other."""
        while True:
            if not self._arrived:
                self._wake_store.clear()
                self._look_idle()
                await self._wake_store.wait()
                continue
            self._storing = batch = self._next_batch()
            routed = Routed()
            await in_slices(batch, partial(self._route, routed=routed))
            placed: Placed | None = Placed()
            if routed.taken or routed.dead:
                placed = await self._until_stored(batch, routed)
            self._storing = []
            if placed is not None:
                self._stats.place(placed)
                self._unsynced += batch
                self.look()

    async def _sync(self) -> None:
        """The loop that waits for the disk, and then acknowledges."""
        backoff = ExponentialBackoff(FIRST_RETRY_S, MAX_RETRY_S)
        while True:
            if not self._wake_sync.is_set():
                self._syncing = False
                self._look_idle()
                await self._wake_sync.wait()
            self._wake_sync.clear()
            self._syncing = True
            batch, self._unsynced = self._unsynced, []
            while batch:
                try:
                    await self._hub.sync()
                    break
                except HubqueueError:  # logged by the store; until it has repaired itself nothing is acknowledged
                    await asyncio.sleep(backoff.next_s())
            self.inflight.sync(batch)
            self._read_on()
            if not self._arrived:  # else the next batch takes the ids out of the file
                await self._leave()

    async def _leave(self) -> None:
        """Take the ids of what is on the disk out of the file, and then acknowledge them."""
        if not (self.inflight.ready and self._link.connected):
            return
        note = _Note(self, [])
        few = min(FEW_OPEN, self._broker.receive_maximum // 2)
        linger = len(self.inflight) < few and not self._closing
        try:
            await self._hub.run(lambda tx: receive(tx, [], [], note), linger=linger)
        except HubqueueError:  # logged by the store
            await asyncio.sleep(FIRST_RETRY_S)
            self.look()

    def _next_batch(self) -> list[Delivery]:
        batch: list[Delivery] = []
        size = 0
        while self._arrived and len(batch) < BATCH and size < BATCH_BYTES:
            delivery = self._arrived.popleft()
            size += delivery.size
            batch.append(delivery)
        return batch

    def _route(self, batch: Sequence[Delivery], routed: Routed) -> None:
        now_ms = self._hub.now_ms()
        for delivery in batch:
            message = delivery.message
            assert message is not None
            passed = True
            for outcome in self._outcomes(message, now_ms, delivery.through):
                self._counted(outcome, now_ms)
                routed.add(outcome)
                passed = passed and isinstance(outcome, Passed)
            delivery.kept = bool(message.mid) and not passed
            self._stats.passed += passed and not delivery.copy

    def _outcomes(self, message: Message, now_ms: int, through: Through) -> list[Outcome]:
        try:
            return self._routing.route(message, now_ms, through)
        except Exception:  # a defect that one message found must not stop the lane
            log.exception("a message could not be routed topic=%s", message.topic)
            return [Refused(unread_job(kept(message, now_ms, lane=self._routing.lane)), "failed", DEFECT)]

    async def _until_stored(self, batch: list[Delivery], routed: Routed) -> Placed | None:
        """Store a batch, however often it takes; None: it did not come to that before the end."""
        backoff = ExponentialBackoff(FIRST_RETRY_S, MAX_RETRY_S)
        note = _Note(self, batch)
        size, held = routed.bytes, False
        while True:
            linger = len(batch) < LINGER_BELOW and not self._closing
            try:
                placed = await self._hub.run(
                    lambda tx: receive(tx, routed.taken, routed.dead, note), linger=linger, size=size
                )
            except HubqueueError as error:
                if not held:
                    log.warning(
                        "messages are held, the hub takes no jobs client=%s code=%s", self._client_id, error.code
                    )
                held = True
                if self._closing:
                    return None
                await self._leave()  # those before it need not wait
                await asyncio.sleep(backoff.next_s())
            else:
                if held:
                    log.info("messages are taken again client=%s", self._client_id)
                return placed

    # acknowledgements out

    def leave(self) -> list[Delivery]:
        """Those whose ids the open transaction may take out of the file."""
        return self.inflight.leave() if self._link.connected else []

    def acknowledge(self, leaving: list[Delivery]) -> None:
        """Their ids have left the file. Without a connection they stay known, should they come again."""
        if not self._link.connected:
            self.inflight.stay(leaving)
            return
        alive = self.inflight.forget(leaving)
        self._link.acknowledge([each.mid for each in alive])
        self._stats.acknowledged += len(alive) - sum([each.copy for each in alive])
        self._read_on()

    def _look_idle(self) -> None:
        """Whether everything that was begun has ended."""
        leaving = self.inflight.ready and self._link.connected
        if self._closing and not (self._arrived or self._storing or self._unsynced or self._syncing or leaving):
            self._idle.set()


class _Note:
    """What a transaction notes of packet ids: those of its jobs come into the file, those that are done leave it."""

    def __init__(self, entry: Entry, batch: list[Delivery], *, leaves: bool = True) -> None:
        self._entry = entry
        self._leaves = leaves
        self._batch = batch
        self._leaving: list[Delivery] = []
        self._before = entry.open_ids.there

    def write(self) -> Blob | None:
        entry = self._entry
        self._before = entry.open_ids.there
        entry.inflight.store(self._batch)
        self._leaving = entry.leave() if self._leaves else []
        return entry.open_ids.blob(entry.inflight.entries(), unsure=entry.unsure)

    def committed(self) -> None:
        self._entry.acknowledge(self._leaving)

    def undone(self) -> None:
        self._entry.open_ids.there = self._before
        self._entry.inflight.stay(self._leaving)
        self._entry.inflight.unstore(self._batch)
