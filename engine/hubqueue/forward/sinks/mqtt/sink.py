"""The sink that publishes to an MQTT broker: QoS 1, a batch is through when the broker has acknowledged all of it.

MQTT knows no ids: what is sent again after a lost answer is there twice. Each message says its id, as MQTT 5 user
property or in an envelope, for receivers that care.
Source: docs/forwarding.md; MQTT 5.0, sections 3.4.2.1 and 4.7.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec

from hubqueue.client.tls import client_context
from hubqueue.errors import Invalid, LinkDown
from hubqueue.expression import ExpressionFailed
from hubqueue.forward.content import Unfit, data_of, names_of, own_fault
from hubqueue.forward.outbound import OutboundJob
from hubqueue.forward.sink import Batch, Partly, Result
from hubqueue.forward.sinks.mqtt.destination import MqttDestination
from hubqueue.forward.verdict import Down, Reason, Rejected, SinkDown, said
from hubqueue.model.topic import check_topic
from hubqueue.mqttclient.answer import FAILED_FROM, TOO_LARGE, Answer
from hubqueue.mqttclient.publisher import Outgoing, Publisher
from hubqueue.mqttclient.versions import Versions
from hubqueue.system import System
from hubqueue.wire.jsondata import plain

ID_PROPERTY: Final = "hubqueue-id"
SLOWEST_BYTES_PER_S: Final = 8 * 1024  # an uplink slower than this is down

_DOWN: Final = {0x87: Reason.AUTH, 0x91: Reason.PROTOCOL, 0x97: Reason.QUOTA}  # not authorized, packet id in use, quota
_REFUSED: Final = frozenset({0x90, 0x99})  # topic name invalid, payload format invalid
_OF_MESSAGE: Final = frozenset({Reason.AUTH, Reason.UNKNOWN})  # may be said of one message and not of others

_json: Final = msgspec.json.Encoder().encode


class MqttSink:
    """Publishes what `destination` says."""

    wants_floor = False

    def __init__(self, destination: MqttDestination, system: System) -> None:
        self._to = destination
        self._versions = Versions(destination.broker)
        self._client_id = destination.client_id or f"hubqueue-forward-{system.token_hex(6)}"
        self._publisher: Publisher | None = None

    @property
    def target(self) -> str:
        return f"{self._to.url}/{self._to.topic.text}"

    async def connect(self) -> None:
        await self.close()
        broker = self._to.broker
        context = client_context(broker.tls) if broker.tls else None

        async def attempt(version: Any, answer_s: float) -> Publisher:
            publisher = Publisher(
                broker,
                version,
                self._client_id,
                context=context,
                answer_s=answer_s,
                keep_session=self._to.client_id is not None,
            )
            await publisher.open()
            return publisher

        publisher, _ = await self._versions.open(attempt)
        if self._to.retain and not publisher.retains:
            publisher.abort()
            raise SinkDown(Down(Reason.PROTOCOL, f"MQTT broker {broker.url} keeps no retained messages"))
        self._publisher = publisher

    async def lost(self) -> None:
        raise await self._open().closed()

    async def close(self) -> None:
        publisher, self._publisher = self._publisher, None
        if publisher is not None:
            await publisher.close()

    async def write(self, batch: Batch) -> list[Result]:
        publisher = self._open()
        results: list[Result] = [None] * len(batch.parcels)
        places, messages = [], []
        for place, parcel in enumerate(batch.parcels):
            try:
                messages.append(self._message(publisher, parcel, batch.queue))
            except Exception as error:
                results[place] = own_fault(error)
            else:
                places.append(place)
        size = sum(len(message.payload) for message in messages)
        async with asyncio.timeout(self._to.write_timeout_s + size / SLOWEST_BYTES_PER_S):
            answers = await publisher.publish_each(messages)
        unanswered = sum(isinstance(answer, LinkDown) for answer in answers)
        for place, message, answer in zip(places, messages, answers, strict=True):
            if isinstance(answer, LinkDown):
                raise Partly(results[:place], Down(Reason.UNREACHABLE, said(answer)), alone=unanswered == 1)
            found = self._read(answer, message)
            if isinstance(found, Down) and found.reason not in _OF_MESSAGE:
                raise Partly(results[:place], found, alone=False)
            results[place] = found
        return results

    def _message(self, publisher: Publisher, parcel: OutboundJob, queue: str) -> Outgoing:
        data = data_of(parcel)
        topic = self._topic(names_of(parcel, queue, data))
        if self._to.payload == "envelope":
            data = {"id": parcel.id, "name": parcel.name, "queue": queue, "at": parcel.at_ms, "data": data}
        raw = isinstance(data, bytes)
        payload = data if raw else _json(plain(data))
        kind = None if raw else "application/json"
        message = Outgoing(topic, payload, self._to.retain, kind, ((ID_PROPERTY, parcel.id),))
        bounds = [bound for bound in (publisher.max_bytes, self._to.max_packet_bytes) if bound is not None]
        if bounds and publisher.size(message) > min(bounds):
            raise Unfit(f"above the {min(bounds)} bytes that the broker takes of a packet", "payload_too_large")
        return message

    def _topic(self, names: dict[str, Any]) -> str:
        """Where it goes. Only the author of the template chooses a topic of the broker's own, which begins with `$`."""
        written = self._to.topic
        try:
            topic = check_topic(written.render(names))
        except ExpressionFailed as error:
            raise Unfit(f"no topic: {error}") from error
        except Invalid as error:
            raise Unfit(error.message) from error
        if topic.startswith("$") and not written.text.startswith("$"):
            raise Unfit(f"topic {topic[:100]!r} begins with '$', which the data cannot choose")
        return topic

    def _read(self, answer: Answer, message: Outgoing) -> Result:
        if answer.code < FAILED_FROM:
            return None
        text = f"MQTT broker {self._to.url} refuses {message.topic}: {answer.text}"
        if answer.code == TOO_LARGE:
            return Rejected("payload_too_large", text)
        if answer.code in _REFUSED:
            return Rejected("invalid", text)
        return Down(_DOWN.get(answer.code, Reason.UNKNOWN), text, answered=True)

    def _open(self) -> Publisher:
        if self._publisher is None:
            raise LinkDown(f"there is no connection to {self._to.url}")
        return self._publisher
