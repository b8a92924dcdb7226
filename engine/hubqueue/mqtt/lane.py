"""A lane's connection: a client of the broker, what it subscribes to, and what becomes of what it is sent.

A lane has one, or several where filters overlap and the broker does not name subscriptions (`lanes`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from hubqueue.errors import LinkDown
from hubqueue.hub.hub import Hub
from hubqueue.ingest.outcome import Outcome
from hubqueue.model.topic import TopicFilter
from hubqueue.mqtt.entry import Entry
from hubqueue.mqtt.kept import Subscribed, remember, subscribed
from hubqueue.mqtt.link import Link, LinkState, Where
from hubqueue.mqtt.routing import Routing
from hubqueue.mqtt.stats import Stats
from hubqueue.mqtt.subscriptions import Paths
from hubqueue.mqttclient.broker import Broker
from hubqueue.mqttclient.connection import Asked, Status
from hubqueue.mqttclient.message import Message


class Aside(Protocol):
    """Takes messages of a topic that become no jobs."""

    filter: TopicFilter

    def received(self, message: Message) -> None:
        """Take a message of that topic."""
        ...


class Lane:
    """`start` until `close`."""

    def __init__(
        self,
        hub: Hub,
        broker: Broker,
        client_id: str,
        routing: Routing,
        stats: Stats,
        *,
        here: Callable[[bool], Sequence[TopicFilter]] | None = None,
        first: Lane | None = None,
        counted: Callable[[Outcome, int], None] = lambda outcome, now_ms: None,
        changed: Callable[[LinkState], None] = lambda state: None,
        begun: Callable[[bool], None] = lambda named: None,
        status: Status | None = None,
        aside: Aside | None = None,
        where: Where | None = None,
    ) -> None:
        """here: which of the lane's filters are this client's, told whether the broker names subscriptions: else all.

        first: the lane's first client, where this is a further one. begun: told the same as `here` on every connection.
        aside: takes messages that become no jobs.
        """
        self.client_id = client_id
        self.named: bool | None = None  # whether the broker names subscriptions; None: not known yet
        self._hub = hub
        self._routing = routing
        self._here = here or (lambda named: routing.filters())
        self._first = first or self
        self._paths = Paths(routing.filters())
        self._begun = begun
        self._changed = changed
        self._aside = aside
        self._subscribed = Subscribed()
        self._noted = False  # what is subscribed, in the file
        self.link = Link(
            broker,
            client_id,
            self._wanted,
            begun=self._on_begun,
            received=self._received,
            changed=self._link_changed,
            status=status,
            where=where,
            asking=self._asking,
        )
        self._entry = Entry(hub, broker, client_id, routing, self._paths, self.link, stats, counted)

    async def start(self) -> None:
        """Connect and take messages."""
        known = await subscribed(self._hub, self.client_id)
        wanted = [each.subscription for each in self._routing.filters()]
        if self._aside is not None:
            wanted.append(self._aside.filter.subscription)
        self._subscribed = known.numbered(wanted) if self._first is self else known
        self._noted = self._subscribed == known
        await self._entry.start()
        self.link.start()

    async def close(self) -> None:
        """Read no more, acknowledge what is in the file, and leave; the rest comes again."""
        await self._entry.close()
        await self.link.close()

    @property
    def unacknowledged(self) -> int:
        """Messages that the broker waits to hear about."""
        return len(self._entry.inflight)

    @property
    def quiet(self) -> bool:
        """Whether it is connected and nothing is on its way."""
        return self.link.state.up and self._entry.quiet

    @property
    def numbers(self) -> Mapping[str, int]:
        """Of the lane's subscriptions: the identifiers of their messages, lower for older ones."""
        return self._first._subscribed.numbers

    async def tidy(self) -> None:
        """Give up what an earlier life, or another kind of connection, subscribed to. Errors: LinkDown, those of hubs.

        Only once everything that is wanted is subscribed, wherever: no message may fall between the two.
        """
        wanted = {each.topic for each in self._asked(named=bool(self.named))}
        stale = [text for text in self._subscribed.filters if text not in wanted]
        if stale:
            await self.link.unsubscribe(stale)
            self._subscribed = self._subscribed.without(stale)
            await remember(self._hub, self.client_id, self._subscribed)

    async def _asking(self) -> None:
        await self._entry.asking()

    async def _wanted(self, named: bool) -> Sequence[Asked]:
        """What to subscribe to. It is noted before: the session may have it from now on."""
        await self._entry.note()
        asked = self._asked(named=named)
        known = self._subscribed.having([each.topic for each in asked])
        if known != self._subscribed or not self._noted:
            await remember(self._hub, self.client_id, known)
            self._subscribed, self._noted = known, True
        return asked

    def _asked(self, *, named: bool) -> list[Asked]:
        qos = self._routing.subscriptions()
        asked = {each.subscription: qos[each.subscription] for each in self._here(named)}
        if self._aside is not None:
            asked.setdefault(self._aside.filter.subscription, 0)
        ids = self.numbers if named else {}
        return [Asked(text, most, ids.get(text, 0)) for text, most in asked.items()]

    def _turn(self, *, named: bool) -> None:
        """Tell the subscriptions of messages by what is subscribed here."""
        self._routing.assign(self.numbers)
        self._paths.turn(self._here(named), self.numbers if named else {})

    def _on_begun(self, session_present: bool, named: bool) -> None:
        self.named = named
        self._entry.begin(session_present)
        self._turn(named=named)
        self._begun(named)

    def _received(self, message: Message) -> None:
        if self._aside is None or message.mid or not self._take_aside(message, self._aside):
            self._entry.receive(message)

    def _take_aside(self, message: Message, aside: Aside) -> bool:
        """Whether the message, of QoS 0, was for nobody else."""
        if aside.filter.match(message.topic) is None:
            return False
        id = self.numbers[aside.filter.subscription]
        if not message.ids or id in message.ids:
            aside.received(message)
        return not message.ids or message.ids == (id,)

    def _link_changed(self, state: LinkState) -> None:
        self._entry.look()
        self._changed(state)


class Left(Lane):
    """A client that is not needed any more: what waits for it at the broker is taken, then its session is ended."""

    def __init__(
        self,
        hub: Hub,
        broker: Broker,
        client_id: str,
        routing: Routing,
        stats: Stats,
        *,
        had: Sequence[TopicFilter],
        counted: Callable[[Outcome, int], None],
        where: Where | None,
    ) -> None:
        """had: what it was subscribed to."""
        super().__init__(
            hub,
            broker,
            client_id,
            routing,
            stats,
            here=lambda named: (),
            counted=counted,
            where=where,
        )
        self._had = had
        self._up = asyncio.Event()
        self._session_present = True
        self._heard = 0

    async def emptied(self, quiet_s: float) -> None:
        """Return once everything that waited for it at the broker is acknowledged: nothing came for so long."""
        while self._session_present:
            await self._up.wait()
            try:
                await self.tidy()
            except LinkDown:
                self._up.clear()
                continue
            before = self._heard
            await asyncio.sleep(quiet_s)
            if self.quiet and self._heard == before:
                return

    def _on_begun(self, session_present: bool, named: bool) -> None:
        self._session_present = session_present
        super()._on_begun(session_present, named)

    def _received(self, message: Message) -> None:
        self._heard += 1
        super()._received(message)

    def _link_changed(self, state: LinkState) -> None:
        if state.up:
            self._up.set()
        super()._link_changed(state)

    def _turn(self, *, named: bool) -> None:
        self._routing.assign_left(self._had)
        self._paths.turn(self._had, self.numbers if named else {})
