"""The MQTT bridge of a hub: its lanes, the answers to invokes, and what was counted. Built and closed by app.

The main lane has the client id `hubqueue-<hub_id>`, says on `hubqueue/<hub_id>/status` whether the hub is there, and
takes the invoke topics and the channels; each lane that a rule names is one more client of the broker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from hubqueue.hub.hub import Hub
from hubqueue.mqtt.answers import Answers
from hubqueue.mqtt.channels import ChannelBridge
from hubqueue.mqtt.counters import Counters
from hubqueue.mqtt.lanes import Lanes
from hubqueue.mqtt.link import LinkState, Where
from hubqueue.mqtt.rules import MAIN_LANE, Rule
from hubqueue.mqtt.stats import Stats
from hubqueue.mqttclient.broker import Broker
from hubqueue.mqttclient.connection import Status

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
        self.tallies = Counters(rules)
        self._channels = ChannelBridge(hub.channels, self._say, lambda: self.links[MAIN_LANE]) if channels else None
        self._lanes = Lanes(
            hub,
            broker,
            rules,
            self.stats,
            invoke=invoke,
            counted=self.tallies.count,
            changed=changed,
            status=_status(hub.hub_id, version),
            aside=self._channels,
            where=where,
        )
        self._answers = Answers(hub, self._publish, self.stats) if invoke else None

    async def start(self) -> None:
        """Connect every lane; returns at once, the links come up by themselves."""
        await self._lanes.start()
        if self._answers is not None:
            self._answers.start()
        if self._channels is not None:
            self._channels.start()

    async def close(self) -> None:
        """Acknowledge what is in the file, say goodbye, leave the rest and the sessions to the broker."""
        if self._channels is not None:
            await self._channels.close()
        if self._answers is not None:
            await self._answers.close()
        await self._lanes.close()

    @property
    def links(self) -> dict[str, LinkState]:
        """The state of each link, by lane name; "" is the main lane, and `~1` a further client of it."""
        return self._lanes.links

    @property
    def unacknowledged(self) -> int:
        """Messages received that the broker waits to hear about."""
        return self._lanes.unacknowledged

    async def _publish(self, topic: str, payload: bytes, correlation: bytes | None) -> None:
        await self._lanes.main.link.publish(topic, payload, correlation=correlation)

    async def _say(self, topic: str, payload: bytes) -> None:
        await self._lanes.main.link.publish(topic, payload, qos=0)


def _status(hub_id: str, version: str) -> Status:
    def payload(state: str) -> bytes:
        return msgspec.json.encode({"state": state, "hub": hub_id, "version": version})

    return Status(STATUS_TOPIC.format(hub_id=hub_id), payload("online"), payload("offline"))
