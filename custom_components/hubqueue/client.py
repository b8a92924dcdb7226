"""A hub over WebSocket that comes back by itself: commands, summaries, events, and whether the link is up.

`HubClient.run` keeps one `Connection` after the other open until it is cancelled or the hub refuses us for good;
everything that must survive a broken link (subscriptions) is asked for again by it. Nothing here knows Home Assistant.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from .connection import Connection, HubInfo, Message
from .errors import AnotherHubError, AuthError, HubError, IncompatibleError, LinkDownError

log = logging.getLogger(__name__)

FIRST_S: Final = 0.5  # a hub that restarts is back within a second
LONGEST_S: Final = 4.0  # and half of it more: within the 10 s for which the hub waits for those who hold leases
STEADY_S: Final = 60.0  # a link that lasted so long begins with the first wait again

type Unsubscribe = Callable[[], None]


@dataclass(frozen=True, slots=True, eq=False)
class Listener:
    """Who wants to hear of which events; queue "*": of all queues."""

    queue: str
    kinds: frozenset[str]
    tell: Callable[[Message], None]


@dataclass(slots=True)
class _Seen:
    """How far the events of each queue were told: where a new connection goes on, and what is told only once.

    asked: the kinds that this connection asked for, by queue or "*".
    """

    epoch: str = ""
    by_queue: dict[str, int] = field(default_factory=dict)
    asked: dict[str, frozenset[str]] = field(default_factory=dict)

    def since(self, queue: str) -> int | None:
        return max(self.by_queue.values(), default=None) if queue == "*" else self.by_queue.get(queue)

    def new(self, queue: str, seq: int) -> bool:
        """Whether this event was not told before; it is from now on."""
        fresh = seq > self.by_queue.get(queue, -1)
        if fresh:
            self.by_queue[queue] = seq
        return fresh


@dataclass(slots=True)
class HubClient:
    """url: http(s)://host:port of the hub. Listeners are called in the event loop and must not raise.

    hub_id: who must answer, also when the link comes back; None: anybody.
    """

    session: aiohttp.ClientSession = field(repr=False)
    url: str
    token: str | None = field(default=None, repr=False)
    hub_id: str | None = None
    info: HubInfo | None = None
    on_summaries: Callable[[Message], None] | None = None
    on_notice: Callable[[Message], None] | None = None
    on_link: Callable[[bool], None] | None = None
    _connection: Connection | None = None
    _listeners: list[Listener] = field(default_factory=list)
    _seen: _Seen = field(default_factory=_Seen)
    _up: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    @property
    def connected(self) -> bool:
        return self._up.is_set()

    async def connect(self) -> HubInfo:
        """Open the first connection. Errors: LinkDownError, AuthError, IncompatibleError."""
        connection = await Connection.open(self.session, self.url, self.token, self._heard)
        if self.hub_id not in (None, connection.info.hub_id):
            await connection.close()
            raise AnotherHubError(connection.info.hub_id)
        self._connection = connection
        self.info = connection.info
        try:
            await self._subscribe(connection)
        except BaseException:
            await self.close()
            raise
        self._up.set()
        return connection.info

    async def run(self) -> None:
        """Keep the link up; connects first where `connect` has not. Errors: AuthError, IncompatibleError."""
        loop = asyncio.get_running_loop()
        wait_s = FIRST_S
        while True:
            began = loop.time()
            try:
                if self._connection is None:
                    await self.connect()
                    self._tell_link(True)
                assert self._connection is not None
                await self._connection.ended()
            except AuthError, IncompatibleError:
                raise
            except HubError as error:
                log.debug("connecting failed code=%s error=%s", error.code, error)
            if self._up.is_set():
                self._up.clear()
                self._tell_link(False)
            await self._drop()
            if loop.time() - began > STEADY_S:
                wait_s = FIRST_S
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.5))  # many clients do not come back in step
            wait_s = min(2 * wait_s, LONGEST_S)

    def hub_now_ms(self) -> int | None:
        """What the hub's clock shows; None: the link is down."""
        return None if self._connection is None else self._connection.hub_now_ms()

    async def up(self) -> None:
        """Return when the link is up."""
        await self._up.wait()

    async def call(self, cmd: str, timeout_s: float | None = None, **fields: Any) -> Message:
        """Do a command; its answer. Nothing is sent while the link is down. Errors: HubError."""
        if self._connection is None:
            raise LinkDownError("The link is down")
        return await self._connection.call(cmd, timeout_s, **fields)

    def listen(self, queue: str, kinds: Iterable[str], tell: Callable[[Message], None]) -> Unsubscribe:
        """Hear of events, over broken links too: after one, exactly those that came meanwhile are told first.

        An event of type `gap` says that some are not known any more; it is told to every listener.
        """
        listener = Listener(queue, frozenset(kinds), tell)
        self._listeners.append(listener)
        self._change()

        def stop() -> None:
            self._listeners.remove(listener)
            self._change()

        return stop

    async def close(self) -> None:
        """End the link."""
        self._up.clear()
        for task in list(self._tasks):
            task.cancel()
        await self._drop()

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _subscribe(self, connection: Connection) -> None:
        if self.on_summaries is not None:
            await connection.call("SubscribeSummaries")
        self._seen.asked.clear()
        await self._follow(connection)

    def _change(self) -> None:
        if self._connection is not None and self._up.is_set():
            task = asyncio.create_task(self._follow_anew(self._connection), name="hubqueue subscribe")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _follow_anew(self, connection: Connection) -> None:
        try:
            await self._follow(connection)
        except HubError as error:  # the next connection asks again
            log.warning("subscribing to events failed code=%s error=%s", error.code, error)

    async def _follow(self, connection: Connection) -> None:
        """Ask for what listeners want and this connection has not asked for. More than wanted is never told."""
        for queue in sorted({listener.queue for listener in self._listeners}):
            kinds = frozenset[str]().union(*(each.kinds for each in self._listeners if each.queue == queue))
            asked = self._seen.asked.get(queue, frozenset())
            if kinds <= asked:
                continue
            since = self._seen.since(queue)
            fields: dict[str, Any] = {} if since is None else {"since": since, "epoch": self._seen.epoch}
            reply = await connection.call(
                "SubscribeEvents", queue=queue, kinds=sorted(kinds | asked), add=bool(self._seen.asked), **fields
            )
            self._seen.asked[queue] = kinds | asked
            self._seen.epoch = reply["epoch"]
            self._seen.by_queue.setdefault(queue, int(reply["seq"]))

    def _heard(self, message: Message) -> None:
        kind = message.get("type")
        if kind == "summaries":
            if self.on_summaries is not None:
                self.on_summaries(message)
            return
        if kind != "event":
            return
        event: Message = message["event"]
        if event["eventType"] == "forwarder:link" and self.on_notice is not None:
            self.on_notice(event)
        if event["eventType"] != "gap" and not self._seen.new(event["queue"], int(message.get("seq", -1))):
            return
        for listener in list(self._listeners):
            if event["eventType"] == "gap" or _wants(listener, event):
                listener.tell(event)

    def _tell_link(self, up: bool) -> None:
        if self.on_link is not None:
            self.on_link(up)


def _wants(listener: Listener, event: Message) -> bool:
    return listener.queue in ("*", event["queue"]) and event["eventType"] in listener.kinds
