"""AMQP 0-9-1 queues into queues of ours: messages are acknowledged once their jobs are on the disk.

Rules:
- The broker hands out `prefetch` messages and no more until it hears of them: that bounds what is held here.
- A connection that ends leaves what was not acknowledged to the broker, which hands it out again. What has a
  message id is known then for `remember`; what has none may become a second job.
- Acknowledgements belong to the connection that delivered the message: none of an earlier one is ever sent.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any, Final

import aio_pika
from aio_pika.abc import AbstractIncomingMessage, AbstractQueue
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError
from yarl import URL

from hubqueue.client.tls import client_context
from hubqueue.errors import HubqueueError, LinkDown
from hubqueue.hub.hub import Hub
from hubqueue.ingest.tasks import watched
from hubqueue.model.backoff import ExponentialBackoff
from hubqueue.sources.entry import Entry
from hubqueue.sources.message import Message, text_of
from hubqueue.sources.settings import AmqpSource, routing_of
from hubqueue.sources.status import Status

log = logging.getLogger(__name__)

FIRST_RETRY_S, MAX_RETRY_S = 0.5, 30.0
CONNECT_S: Final = 15.0
CLOSE_S: Final = 5.0
LOOK_S: Final = 5.0  # between questions how much is left, which also find out that the queue was deleted
HEARTBEAT_S: Final = 15  # a broker that is silent for about two of these is gone
HEALTHY_S: Final = 30.0  # a connection that held this long starts the back-off anew

_LOST: Final = (AMQPError, ChannelInvalidStateError, OSError, TimeoutError, ssl.SSLError, asyncio.InvalidStateError)


class AmqpFeed:
    """One source. `start` until `close`. Errors: Invalid at construction."""

    def __init__(self, hub: Hub, source: AmqpSource) -> None:
        self._url = URL(source.url)
        self.status = Status(source.name, "amqp", f"{self._url.with_password(None)}#{source.queue}")
        self._hub = hub
        self._source = source
        self._routing = routing_of(source)
        self._context = None if source.tls is None else client_context(source.tls)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Connect, and go on connecting, in a task of its own."""
        self._task = watched(self._run(), f"source-{self._source.name}")

    async def close(self) -> None:
        """Leave; the broker keeps what is not acknowledged."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        backoff = ExponentialBackoff(FIRST_RETRY_S, MAX_RETRY_S)
        loop = asyncio.get_running_loop()
        while True:
            started_s = loop.time()
            try:
                await self._attempt()
            except _LOST as error:
                self._turn(up=False, error=f"{self.status.url}: {explained(error)}")
            except LinkDown as error:
                self._turn(up=False, error=error.message)
            if loop.time() - started_s >= HEALTHY_S:
                backoff.reset()
            await asyncio.sleep(backoff.next_s())

    async def _attempt(self) -> None:
        """One connection, until it ends. Errors: those of _LOST, LinkDown."""
        source = self._source
        async with AsyncExitStack() as stack:
            connection = aio_pika.Connection(
                self._url.update_query(heartbeat=str(HEARTBEAT_S)),
                ssl_context=self._context,
                client_properties={"connection_name": f"hubqueue {source.name}"},
            )
            stack.push_async_callback(_quietly_closed, connection)  # one that was never up as well: else it warns
            await connection.connect(timeout=CONNECT_S)
            channel = await connection.channel(publisher_confirms=False)
            await channel.set_qos(prefetch_count=source.prefetch)
            queue = await channel.get_queue(source.queue)
            delivered = _Delivered()
            channel.close_callbacks.add(delivered.ended)
            connection.close_callbacks.add(delivered.ended)
            tag = await queue.consume(delivered.take)
            self._turn(up=True)
            storing = watched(self._store(delivered), f"source-store-{source.name}")
            work = [storing, watched(self._look(queue), f"source-look-{source.name}")]
            stack.push_async_callback(_cancelled, work)
            stack.push_async_callback(_finished, storing)
            stack.push_async_callback(_no_more, queue, tag)
            stack.callback(delivered.stop)
            ending = asyncio.create_task(delivered.end.wait())
            stack.push_async_callback(_cancelled, [ending])
            await asyncio.wait([*work, ending], return_when=asyncio.FIRST_COMPLETED)
            for task in work:
                if task.done():
                    task.result()
            raise LinkDown(f"{self._url.host}: the connection ended: {delivered.reason}")

    async def _store(self, delivered: _Delivered) -> None:
        """Store batches one after the other, and acknowledge each once it is on the disk.

        At a stop what is being stored is acknowledged as well, and nothing more is begun.
        """
        entry = Entry(self._hub, self.status, self._routing)
        syncing: asyncio.Task[None] | None = None
        try:
            while batch := await delivered.some(entry.limit):
                retry_s = await self._put(entry, batch)
                self.status.held = entry.refusal
                if retry_s is not None:
                    await delivered.rest(retry_s)
                    continue
                delivered.stored(len(batch))
                if syncing is not None:
                    await syncing  # one at a time, in order; the next batch is stored meanwhile
                syncing = watched(self._acknowledge(batch[-1], len(batch)), f"source-sync-{self._source.name}")
        finally:
            if syncing is not None:
                async with asyncio.timeout(CLOSE_S):
                    await syncing

    async def _put(self, entry: Entry, batch: list[AbstractIncomingMessage]) -> float | None:
        retry_s = await entry.put([message_of(self._source.queue, each) for each in batch])
        if retry_s is None:
            self.status.counts.repeated += sum(1 for each in batch if each.redelivered)
        return retry_s

    async def _acknowledge(self, last: AbstractIncomingMessage, count: int) -> None:
        """Tell the broker of everything up to this message."""
        backoff = ExponentialBackoff(FIRST_RETRY_S, MAX_RETRY_S)
        while True:
            try:
                await self._hub.sync()
                break
            except HubqueueError:  # logged by the store; until it has repaired itself nothing is acknowledged
                await asyncio.sleep(backoff.next_s())
        try:
            await last.ack(multiple=True)
        except _LOST as error:  # it comes again, over the next connection
            log.info("an acknowledgement was not heard source=%s: %s", self._source.name, explained(error))
        else:
            self.status.counts.acknowledged += count

    async def _look(self, queue: AbstractQueue) -> None:
        """Keep the lag up to date. Ends the connection when the queue is gone."""
        while True:
            found = await queue.declare(timeout=CONNECT_S)
            self.status.lag = found.message_count
            await asyncio.sleep(LOOK_S)

    def _turn(self, *, up: bool, error: str | None = None) -> None:
        def tell(text: str | None) -> None:
            if up:
                log.info("source connected source=%s url=%s", self._source.name, self.status.url)
            else:
                log.warning("source is down, trying again source=%s: %s", self._source.name, text)

        self.status.turn(up=up, error=error, tell=tell)


class _Delivered:
    """What the broker handed out over one connection and is not stored yet, in order."""

    def __init__(self) -> None:
        self.end = asyncio.Event()
        self.reason = "closed"
        self._messages: deque[AbstractIncomingMessage] = deque()
        self._some = asyncio.Event()
        self._stopped = asyncio.Event()

    async def take(self, message: AbstractIncomingMessage) -> None:
        self._messages.append(message)
        self._some.set()

    async def some(self, most: int) -> list[AbstractIncomingMessage]:
        """The first ones; they stay until they are stored. None after `stop`."""
        await self._some.wait()
        if self._stopped.is_set():
            return []
        return [self._messages[index] for index in range(min(most, len(self._messages)))]

    async def rest(self, seconds: float) -> None:
        """Wait so long, or until `stop`."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopped.wait()
        except TimeoutError:
            pass

    def stop(self) -> None:
        """Hand nothing more out: the broker keeps it."""
        self._stopped.set()
        self._some.set()

    def stored(self, count: int) -> None:
        for _ in range(count):
            self._messages.popleft()
        if not (self._messages or self._stopped.is_set()):
            self._some.clear()

    def ended(self, _sender: Any, error: BaseException | None = None, *_: Any) -> None:
        if error is not None:
            self.reason = explained(error)
        self.end.set()


async def _quietly_closed(connection: aio_pika.abc.AbstractConnection) -> None:
    try:
        async with asyncio.timeout(CLOSE_S):
            await connection.close()
    except _LOST:
        pass


async def _no_more(queue: AbstractQueue, tag: str) -> None:
    try:
        async with asyncio.timeout(CLOSE_S):
            await queue.cancel(tag)
    except _LOST:
        pass


async def _finished(task: asyncio.Task[None]) -> None:
    """It ends by itself, soon."""
    await asyncio.wait([task], timeout=CLOSE_S)


async def _cancelled(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def explained(error: BaseException) -> str:
    """An error of the library as people read it: without what looks like a secret or a Python object."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = getattr(error, "reason", None) or str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def message_of(queue: str, message: AbstractIncomingMessage) -> Message:
    """A message as sources carry it."""
    at = message.timestamp
    return Message(
        topic=queue,
        payload=message.body,
        at_ms=round(at.timestamp() * 1000) if isinstance(at, datetime) else None,
        key=message.routing_key or None,
        headers={name: text_of(value) for name, value in message.headers.items()},
        id=message.message_id or None,
    )
