"""The bridge's clients of the broker: one for each lane, further ones where filters must be kept apart, and those that
an earlier configuration left at the broker.

Nothing is unsubscribed before everything that is wanted is subscribed, on whatever client: a rule that moves from one
to another is for a moment on both, and never on none. What a client that is not needed any more still has to bring is
taken; when that has come to an end its session is ended at the broker.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from hubqueue.errors import HubqueueError
from hubqueue.hub.hub import Hub
from hubqueue.ingest.outcome import Outcome
from hubqueue.ingest.tasks import watched
from hubqueue.model.topic import TopicFilter
from hubqueue.mqtt.kept import every_client, forget
from hubqueue.mqtt.lane import Aside, Lane, Left
from hubqueue.mqtt.link import LinkState, Where
from hubqueue.mqtt.routing import Routing, lanes_of
from hubqueue.mqtt.rules import MAIN_LANE, Rule
from hubqueue.mqtt.stats import Stats
from hubqueue.mqtt.subscriptions import apart
from hubqueue.mqttclient.broker import Broker
from hubqueue.mqttclient.connection import Status

log = logging.getLogger(__name__)

SIDE: Final = "~"  # client ids of further clients of a lane end with it and a number; no lane's name has it
QUIET_S: Final = 10.0  # a client that is left has brought everything when nothing has come for so long
RETRY_S: Final = 5.0


class Lanes:
    """`start` until `close`. Errors: Invalid at construction names the first rule that cannot be."""

    def __init__(
        self,
        hub: Hub,
        broker: Broker,
        rules: Sequence[Rule],
        stats: Stats,
        *,
        invoke: bool,
        counted: Callable[[Outcome, int], None],
        changed: Callable[[str, LinkState], None],
        status: Status,
        aside: Aside | None,
        where: Where | None,
    ) -> None:
        self._hub = hub
        self._broker = broker
        self._rules = rules
        self._stats = stats
        self._invoke = invoke
        self._counted = counted
        self._told = changed
        self._where = where
        self._aside = aside
        self._turn = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._known: dict[str, Sequence[TopicFilter]] = {}
        self._apart: dict[str, dict[int, list[TopicFilter]]] = {}
        self._sides: dict[str, Lane] = {}
        self._left: dict[str, tuple[Left, asyncio.Task[None]]] = {}
        self._first: dict[str, Lane] = {}
        self._wide: dict[str, list[TopicFilter]] = {}
        for name, routing in lanes_of(rules, invoke=invoke).items():
            main = name == MAIN_LANE
            self._wide[name] = routing.filters()
            self._first[name] = Lane(
                hub,
                broker,
                client_id(hub.hub_id, name),
                routing,
                stats,
                here=partial(self._here, name),
                counted=counted,
                changed=partial(self._changed, name),
                begun=partial(self._begun, name),
                status=status if main else None,
                aside=aside if main else None,
                where=where,
            )

    async def start(self) -> None:
        """Connect every lane; returns at once, the links come up by themselves."""
        prefix = client_id(self._hub.hub_id, MAIN_LANE)
        for client, kept in (await every_client(self._hub)).items():
            if client == prefix or client.startswith((f"{prefix}-", f"{prefix}{SIDE}")):
                self._known[client] = [TopicFilter(text) for text in kept.filters]
            else:  # another hub's, whose file this was: its session is none of ours
                await forget(self._hub, client)
        for name, lane in self._first.items():
            taken = [self._aside.filter] if self._aside is not None and name == MAIN_LANE else []
            before = {
                int(client.rpartition(SIDE)[2]): [each.subscription for each in filters]
                for client, filters in self._known.items()
                if client.startswith(lane.client_id + SIDE)
            }
            self._apart[name] = apart(self._wide[name], taken, before)
        for lane in self._first.values():
            await lane.start()
        self._task = watched(self._arrange(), "mqtt-lanes")

    async def close(self) -> None:
        """Acknowledge what is in the file, say goodbye, leave the sessions to the broker."""
        tasks = [ending for _, ending in self._left.values()]
        if self._task is not None:
            tasks.append(self._task)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(lane.close() for lane in self._every()))

    @property
    def main(self) -> Lane:
        return self._first[MAIN_LANE]

    @property
    def links(self) -> dict[str, LinkState]:
        """The state of each link: by lane name, further ones of a lane with `~` and a number."""
        sides = {self._name(lane): lane.link.state for lane in self._sides.values()}
        return {name: lane.link.state for name, lane in self._first.items()} | sides

    @property
    def unacknowledged(self) -> int:
        """Messages received that the broker waits to hear about."""
        return sum(lane.unacknowledged for lane in self._every())

    def _every(self) -> list[Lane]:
        return [*self._first.values(), *self._sides.values(), *(lane for lane, _ in self._left.values())]

    def _here(self, name: str, named: bool) -> Sequence[TopicFilter]:
        """What a lane's first client subscribes to: everything where copies say how they came."""
        return self._wide[name] if named else self._apart[name][0]

    def _name(self, lane: Lane) -> str:
        return lane.client_id.removeprefix(client_id(self._hub.hub_id, MAIN_LANE)).removeprefix("-")

    def _changed(self, name: str, state: LinkState) -> None:
        self._turn.set()
        self._told(name, state)

    def _begun(self, name: str, named: bool) -> None:
        """What the broker of a lane can do is known."""
        if not named:
            for number, filters in self._apart[name].items():
                client = f"{self._first[name].client_id}{SIDE}{number}"
                if number and client not in self._sides:
                    self._sides[client] = self._side(name, client, filters)
                    self._known[client] = filters
        self._turn.set()

    def _side(self, name: str, client: str, filters: Sequence[TopicFilter]) -> Lane:
        """A further client of a lane, for these filters; it is started by `_arrange`."""
        return Lane(
            self._hub,
            self._broker,
            client,
            lanes_of(self._rules, invoke=self._invoke)[name],
            self._stats,
            here=lambda named: filters,
            first=self._first[name],
            counted=self._counted,
            changed=partial(self._changed, name + client.removeprefix(self._first[name].client_id)),
            where=self._where,
        )

    # in a task of its own

    async def _arrange(self) -> None:
        """Bring the clients to what is wanted, whenever something has changed."""
        started: set[str] = set()  # of the sides
        while True:
            await self._turn.wait()
            self._turn.clear()
            try:
                await self._start_sides(started)
                await self._give_up(started)
            except HubqueueError as error:
                log.info("subscriptions are put in order later: %s", error)
                asyncio.get_running_loop().call_later(RETRY_S, self._turn.set)

    async def _start_sides(self, started: set[str]) -> None:
        for client, lane in list(self._sides.items()):
            if client in started:
                continue
            if client in self._left:
                left, ending = self._left.pop(client)
                ending.cancel()
                await left.close()
            await lane.start()
            started.add(client)

    async def _give_up(self, started: set[str]) -> None:
        """Once everything that is wanted is subscribed: unsubscribe the rest, and leave the clients without use."""
        if any(lane.named is None for lane in self._first.values()):
            return
        wanted = {
            f"{self._first[name].client_id}{SIDE}{number}"
            for name, numbers in self._apart.items()
            for number in numbers
            if number and not self._first[name].named
        }
        needed = [*self._first.values(), *(lane for client, lane in self._sides.items() if client in wanted)]
        if not all(lane.link.state.up for lane in needed):
            return
        for lane in needed:
            await lane.tidy()
        firsts = {lane.client_id for lane in self._first.values()}
        for client in [client for client in self._known if client not in wanted | firsts and client not in self._left]:
            side = self._sides.pop(client, None)
            if side is not None:
                started.discard(client)
                await side.close()
            await self._leave(client)

    async def _leave(self, client: str) -> None:
        main = self.main.client_id
        of_main = client.startswith(main + SIDE)
        lane = Left(
            self._hub,
            self._broker,
            client,
            Routing(self._rules, invoke=self._invoke and of_main),
            self._stats,
            had=self._known[client],
            counted=self._counted,
            where=self._where,
        )
        await lane.start()
        self._left[client] = lane, watched(self._end(client, lane), f"mqtt-left-{client}")

    async def _end(self, client: str, lane: Left) -> None:
        """Take what waits for a client that is not needed, and end its session."""
        try:
            await lane.emptied(QUIET_S)
            del self._left[client], self._known[client]
            await lane.close()
            await lane.link.end_session()
            await forget(self._hub, client)
            log.info("a session at the broker that is not needed any more was ended client=%s", client)
        except HubqueueError as error:
            log.info("a session at the broker is ended at the next start client=%s: %s", client, error)


def client_id(hub_id: str, lane: str) -> str:
    """The broker keeps the session under this name: it must not change while a hub lives."""
    return f"hubqueue-{hub_id}-{lane}" if lane else f"hubqueue-{hub_id}"
