"""What a device sends, by every door that makes jobs of messages: the job of each, or why there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from aio_pika.message import IncomingMessage
from aiokafka.structs import ConsumerRecord
from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from hubqueue.config.rules import read_rule
from hubqueue.config.sources import source
from hubqueue.ingest.outcome import Outcome, Passed, Taken
from hubqueue.mqtt.trial import try_message
from hubqueue.sources import amqp, partition
from hubqueue.sources.settings import routing_of
from support.rest import Rest

NOW_MS: Final = 1_800_000_000_000
Given = Mapping[str, Any]


class Came(NamedTuple):
    """What became of it. error: in words, with what to do."""

    data: Any = None
    queue: str = ""
    name: str = ""
    error: str = ""
    reason: str = ""


PASSED: Final = Came(reason="passed")


def of(outcome: Outcome) -> Came:
    if isinstance(outcome, Passed):
        return PASSED
    if isinstance(outcome, Taken):
        return Came(msgspec.msgpack.decode(outcome.job.data or b""), outcome.queue, outcome.job.name)
    return Came(error=outcome.error, reason=outcome.reason)


def mqtt(keys: Given, content: bytes) -> Came:
    rule = read_rule({"topic": "t", "queue": "q", "shape": "payload", **keys})
    (outcome,) = try_message([rule], "t", content, now_ms=NOW_MS)
    return of(outcome)


def kafka(keys: Given, content: bytes) -> Came:
    made = source(Path())({"name": "s", "from": "kafka://h/t", "queue": "q", **named(keys)})
    record = ConsumerRecord("t", 0, 7, NOW_MS, 0, None, content, None, -1, len(content), ())
    return of(routing_of(made).one(partition.message_of(record), NOW_MS))


def rabbit(keys: Given, content: bytes) -> Came:
    made = source(Path())({"name": "s", "from": "amqp://h/", "amqp": {"queue": "t"}, "queue": "q", **named(keys)})
    delivery = Basic.Deliver("c", 1, False, "", "key")
    header = ContentHeader(body_size=len(content), properties=Basic.Properties())
    message = IncomingMessage(DeliveredMessage(delivery, header, content, None))  # type: ignore[arg-type]
    return of(routing_of(made).one(amqp.message_of("t", message), NOW_MS))


def named(keys: Given) -> dict[str, Any]:
    """A source has a name of its own."""
    return {"job_name" if key == "name" else key: value for key, value in keys.items()}


MESSAGES: Final[dict[str, Callable[[Given, bytes], Came]]] = {"MQTT": mqtt, "Kafka": kafka, "AMQP": rabbit}


async def feed(rest: Rest, payload: str | Given, content: bytes) -> Came:
    """A POST, which says as options what a rule says of its payload."""
    said = {"kind": payload} if isinstance(payload, str) else dict(payload)
    query = {key.replace("_", ""): text for key, value in said.items() if (text := _text(value)) is not None}
    answer = await rest.ask("POST", "/queues/q/feed", params=query, data=content)
    if answer.status >= 300:
        hint = answer.body.get("hint")
        return Came(error=f"{answer.body['detail']} ({hint})" if hint else answer.body["detail"], reason="refused")
    if not answer.body["ids"]:
        return PASSED
    job = await rest.hub.get(answer.body["ids"][0])
    assert job is not None
    return Came(msgspec.msgpack.decode(job.data or b""), job.queue, job.name)


def _text(value: Any) -> str | None:
    return ",".join(value) if isinstance(value, list) else "null" if value is None else str(value)
