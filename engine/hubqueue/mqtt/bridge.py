"""The MQTT bridge of a hub: its lanes, the answers to invokes, and what was counted. Built and closed by app.

The main lane has the client id `hubqueue-<hub_id>`, says on `hubqueue/<hub_id>/status` whether the hub is there, and
takes the invoke topics and the channels; each lane that a rule names is one more client of the broker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import msgspec

from hubqueue.broker.broker import Broker
from hubqueue.broker.connection import Status
from hubqueue.hub.hub import Hub
from hubqueue.mqtt.answers import Answers
from hubqueue.mqtt.channels import ChannelBridge
from hubqueue.mqtt.lane import Lane
from hubqueue.mqtt.link import LinkState, Where
from hubqueue.mqtt.routing import lanes_of
from hubqueue.mqtt.rules import MAIN_LANE, Rule
from hubqueue.mqtt.stats import Stats
from hubqueue.mqtt.tallies import Tallies

STATUS_TOPIC: Final = "hubqueue/{hub_id}/status"


class Bridge:
    """`start` until `close`; close it before the hub.

    Errors: Invalid at construction names the first rule, or the certificate file, that cannot be.
    """

    def __init__(
        self,
        hub: Hub,
        broker: Broker,
        rules: Sequence[Rule],
        *,
        version: str,
        invoke: bool = True,
        channels: bool = True,
        changed: Callable[[str, LinkState], None] = lambda lane, state: None,
        where: Where | None = None,
    ) -> None:
        """where: asked before every attempt to connect, where the broker is not known for good."""
        self.stats = Stats()
        self.tallies = Tallies(rules)
        self._channels = ChannelBridge(hub.channels, self._say, lambda: self.links[MAIN_LANE]) if channels else None
        self._lanes: dict[str, Lane] = {}
        for name, routing in lanes_of(rules, invoke=invoke).items():
            self._lanes[name] = Lane(
                hub,
                broker,
                client_id(hub.hub_id, name),
                routing,
                self.stats,
                counted=self.tallies.count,
                changed=partial(changed, name),
                status=_status(hub.hub_id, version) if name == MAIN_LANE else None,
                aside=self._channels if name == MAIN_LANE else None,
                where=where,
            )
        self._answers = Answers(hub, self._publish, self.stats) if invoke else None

    async def start(self) -> None:
        """Connect every lane; returns at once, the links come up by themselves."""
        for lane in self._lanes.values():
            await lane.start()
        if self._answers is not None:
            self._answers.start()
        if self._channels is not None:
            self._channels.start()

    async def close(self) -> None:
        """Store what was received, say goodbye, leave the sessions to the broker."""
        if self._channels is not None:
            await self._channels.close()
        if self._answers is not None:
            await self._answers.close()
        await asyncio.gather(*(lane.close() for lane in self._lanes.values()))

    @property
    def links(self) -> dict[str, LinkState]:
        """The state of each lane's link, by lane name; "" is the main lane."""
        return {name: lane.link.state for name, lane in self._lanes.items()}

    @property
    def unacknowledged(self) -> int:
        """Messages received that the broker waits to hear about."""
        return sum(lane.unacknowledged for lane in self._lanes.values())

    async def _publish(self, topic: str, payload: bytes, correlation: bytes | None) -> None:
        await self._lanes[MAIN_LANE].link.publish(topic, payload, correlation=correlation)

    async def _say(self, topic: str, payload: bytes) -> None:
        await self._lanes[MAIN_LANE].link.publish(topic, payload, qos=0)


def client_id(hub_id: str, lane: str) -> str:
    """The broker keeps the session under this name: it must not change while a hub lives."""
    return f"hubqueue-{hub_id}-{lane}" if lane else f"hubqueue-{hub_id}"


def _status(hub_id: str, version: str) -> Status:
    def payload(state: str) -> bytes:
        return msgspec.json.encode({"state": state, "hub": hub_id, "version": version})

    return Status(STATUS_TOPIC.format(hub_id=hub_id), payload("online"), payload("offline"))
