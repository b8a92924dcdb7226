"""The link to the broker: connects, logs in, subscribes, says that the hub is there, and comes back by itself.

The lane gives it callbacks and takes messages; acknowledgements and answers go out through it. A link that is down
loses nothing: the broker keeps the session and sends again what was not acknowledged.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from hubqueue.client.tls import client_context
from hubqueue.errors import HubqueueError, Invalid, LinkDown, PayloadTooLarge
from hubqueue.ingest.tasks import watched
from hubqueue.model.backoff import ExponentialBackoff
from hubqueue.mqttclient.answer import FAILED_FROM, TOO_LARGE
from hubqueue.mqttclient.broker import Broker
from hubqueue.mqttclient.connection import Asked, Callbacks, Connection, Status, Version
from hubqueue.mqttclient.message import Message
from hubqueue.mqttclient.versions import Versions

log = logging.getLogger(__name__)

Where = Callable[[], Awaitable[Broker]]
Wanted = Callable[[bool], Awaitable[Sequence[Asked]]]


async def nothing(named: bool) -> Sequence[Asked]:
    """For a link that only publishes."""
    return ()


GOODBYE_S: Final = 3.0  # a broker that does not answer must not hold up the hub's end
HEALTHY_S: Final = 30.0  # a connection that held this long starts the back-off anew


class NotConnected(LinkDown):
    """Nothing was sent."""


class NotTaken(Invalid):
    """The broker refuses this message, and goes on with others."""


@dataclass(frozen=True, slots=True)
class LinkState:
    """Whether the link is up, and if not why. `version` is the MQTT version spoken while up.

    Units: since_ms Unix milliseconds, of the last change between up and down.
    """

    up: bool
    version: Version | None = None
    error: HubqueueError | None = None
    since_ms: int = 0


class Link:
    """One client of the broker with a persistent session. `run` until `close`.

    Errors: Invalid at construction names a certificate file that cannot be used.
    """

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        wanted: Wanted,
        *,
        begun: Callable[[bool, bool], None],
        received: Callable[[Message], None],
        changed: Callable[[LinkState], None] = lambda state: None,
        status: Status | None = None,
        where: Where | None = None,
        asking: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """wanted: asked on every connection what to subscribe to, told whether its messages may carry identifiers.

        where: asked before every attempt to connect; a broker that moves or changes its password is found again.
        asking: called before every attempt.
        """
        self.state = LinkState(up=False, since_ms=_now_ms())
        self._broker = broker
        self._client_id = client_id
        self._wanted = wanted
        self._callbacks = Callbacks(self._on_begun(begun), received)
        self._changed = changed
        self._status = status
        self._where = where
        self._asking = asking
        self._context: ssl.SSLContext | None = client_context(broker.tls) if broker.tls else None
        self._connection: Connection | None = None
        self._versions = Versions(broker)
        self._subscribed: Sequence[Asked] | None = None  # in this session, by this process
        self._session_present = False
        self._named = False
        self._paused = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Connect, and go on connecting, in a task of its own."""
        self._task = watched(self._run(), f"mqtt-link-{self._client_id}")

    async def close(self) -> None:
        """Say that the hub is gone and leave; the broker keeps the session."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        connection, self._connection = self._connection, None
        if connection is None:
            return
        connection.resume()  # the answers to what is sent now must be read
        try:
            async with asyncio.timeout(GOODBYE_S):
                if self._status is not None and not connection.ended:
                    await connection.send(self._status.topic, self._status.offline, retain=True)
                elif not connection.ended:  # an answer says that the acknowledgements before it were heard
                    await connection.unsubscribe_all([f"hubqueue/{self._client_id}/nothing"])
                await connection.close()
        except (LinkDown, TimeoutError):
            pass  # the broker says it for us: the last will
        connection.abort()
        self._set(LinkState(up=False))

    async def end_session(self) -> None:
        """Have the broker forget the session of this client, which is closed. Errors: LinkDown."""
        connection, _ = await self._versions.open(partial(self._opened, keep_session=False))
        await connection.close()

    @property
    def connected(self) -> bool:
        """Whether an acknowledgement may leave. False until the broker has answered: old ids would hit new messages.

        And until everything is subscribed, for it makes the broker send messages, and the answer would come behind
        them; unless it does already.
        """
        return (self.state.up or self._paused) and self._connection is not None and self._connection.carries

    def acknowledge(self, mids: list[int]) -> None:
        """Acknowledge messages of the present connection."""
        if self._connection is not None:
            self._connection.acknowledge(mids)

    async def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, correlation: bytes | None = None
    ) -> None:
        """Publish, and with QoS 1 wait for what the broker says.

        Errors: NotConnected; LinkDown when it ended meanwhile; PayloadTooLarge; NotTaken.
        """
        connection = self._connection
        if connection is None or connection.ended or not self.state.up:
            raise NotConnected(f"MQTT broker {self._broker.url}: not connected")
        answer = await connection.send(topic, payload, qos=qos, retain=retain, correlation=correlation)
        if answer.code == TOO_LARGE:
            raise PayloadTooLarge(f"MQTT broker {self._broker.url} refuses {len(payload)} bytes: {answer.text}")
        if answer.code >= FAILED_FROM:
            raise NotTaken(f"MQTT broker {self._broker.url} refuses {topic}: {answer.text}")

    async def unsubscribe(self, topics: Sequence[str]) -> None:
        """Errors: LinkDown."""
        if self._connection is None or not self.state.up:
            raise LinkDown(f"MQTT broker {self._broker.url}: not connected")
        await self._connection.unsubscribe_all(list(topics))

    def pause(self) -> None:
        """Read no more messages until `resume`, over reconnects too."""
        self._paused = True
        if self._connection is None:
            return
        if self.state.up:
            self._connection.pause()
        else:  # what it answers must be read for the link to come up
            self._connection.sift()

    def resume(self) -> None:
        if self._paused:
            self._paused = False
            if self._connection is not None:
                self._connection.resume()

    async def _run(self) -> None:
        backoff = ExponentialBackoff(self._broker.backoff_first_s, self._broker.backoff_max_s)
        loop = asyncio.get_running_loop()
        while True:
            started_s = loop.time()
            try:
                connection, version = await self._connect()
            except HubqueueError as error:
                self._set(LinkState(up=False, error=error))
            else:
                self._set(LinkState(up=True, version=version))
                ended = await connection.closed()
                connection.abort()
                self._connection = None
                self._set(LinkState(up=False, error=ended))
                if loop.time() - started_s >= HEALTHY_S:
                    backoff.reset()
            await asyncio.sleep(backoff.next_s())

    async def _connect(self) -> tuple[Connection, Version]:
        """A connection that is logged in and subscribed, in the newest version that the broker speaks."""
        if self._where is not None:
            self._turn_to(await self._where())
        if self._asking is not None:
            await self._asking()
        return await self._versions.open(self._open)

    def _turn_to(self, broker: Broker) -> None:
        if broker != self._broker:
            self._context = client_context(broker.tls) if broker.tls else None
            self._versions = Versions(broker)
            self._broker = broker

    async def _open(self, version: Version, answer_s: float) -> Connection:
        connection = self._made(version, answer_s)
        self._connection = connection  # before it is open: messages of the session come with the answer to CONNECT
        try:
            await connection.open()
            await self._subscribe(connection, version)
            if self._status is not None:
                await connection.send(self._status.topic, self._status.online, retain=True)
            if self._paused:
                connection.pause()
        except HubqueueError:
            self._connection = None
            connection.abort()
            raise
        return connection

    async def _opened(self, version: Version, answer_s: float, *, keep_session: bool) -> Connection:
        connection = self._made(version, answer_s, keep_session=keep_session)
        await connection.open()
        return connection

    def _made(self, version: Version, answer_s: float, *, keep_session: bool = True) -> Connection:
        return Connection(
            self._broker,
            version,
            self._client_id,
            self._callbacks,
            context=self._context,
            status=self._status,
            answer_s=answer_s,
            keep_session=keep_session,
        )

    async def _subscribe(self, connection: Connection, version: Version) -> None:
        """Ask for the topics. With 3.1.1 not again in a session that has them: retained messages would come again."""
        asked = await self._wanted(self._named)
        if version == "3.1.1" and self._subscribed == asked and self._session_present:
            return
        refused = await connection.subscribe_all(asked)
        self._subscribed = asked
        for text in refused:
            log.warning("the MQTT broker refuses this subscription, check its access rules topic=%s", text)

    def _on_begun(self, begun: Callable[[bool, bool], None]) -> Callable[[bool, bool], None]:
        def note(session_present: bool, named: bool) -> None:
            self._session_present, self._named = session_present, named
            begun(session_present, named)

        return note

    def _set(self, state: LinkState) -> None:
        """Tell the change, once: a link that is down stays so however often it is tried."""
        former = self.state
        state = replace(state, since_ms=former.since_ms if former.up == state.up else _now_ms())
        self.state = state
        if former.up == state.up and str(former.error) == str(state.error):
            return
        if state.up:
            log.info("MQTT link up broker=%s version=%s client=%s", self._broker.url, state.version, self._client_id)
        elif state.error is not None:
            log.warning("MQTT link down, trying again client=%s: %s", self._client_id, state.error)
        self._changed(state)


def _now_ms() -> int:
    """For people to read, so the wall clock does."""
    return int(time.time() * 1000)
