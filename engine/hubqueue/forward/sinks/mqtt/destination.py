"""Topics of an MQTT broker as a value. Imports no client library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hubqueue.client.address import Tls
from hubqueue.expression import Topic
from hubqueue.model.limits import WRITE_TIMEOUT_S
from hubqueue.mqttclient.broker import Broker


@dataclass(frozen=True, slots=True)
class MqttDestination:
    """client_id None: another one each time, and no session. max_packet_bytes: beside what the broker says of it.

    payload: the data alone, or in an envelope with id, name, queue and time.
    """

    broker: Broker
    topic: Topic
    retain: bool = False
    payload: Literal["data", "envelope"] = "data"
    client_id: str | None = None
    max_packet_bytes: int | None = None
    write_timeout_s: float = WRITE_TIMEOUT_S

    @property
    def url(self) -> str:
        return self.broker.url

    @property
    def target(self) -> str | None:
        return self.topic.text

    @property
    def encrypted(self) -> bool:
        return self.broker.tls is not None

    @property
    def has_secret(self) -> bool:
        return self.broker.password is not None

    @property
    def tls(self) -> Tls | None:
        return self.broker.tls
