"""A record of Kafka from a parcel: topic, key, value, headers and time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from hubqueue.expression import MISSING, ExpressionFailed, Text, Value
from hubqueue.forward.content import NAMES, Unfit, data_of, names_of
from hubqueue.forward.outbound import OutboundJob
from hubqueue.forward.sinks.kafka.destination import Form
from hubqueue.model.moment import NoTime, TimeFormat
from hubqueue.model.payload import NULL
from hubqueue.wire.jsondata import readable

MAX_TOPIC: Final = 249

_TOPIC: Final = re.compile(rf"(?!\.\.?\Z)[A-Za-z0-9._-]{{1,{MAX_TOPIC}}}\Z")
_json: Final = msgspec.json.Encoder().encode


class Record(msgspec.Struct, frozen=True):
    """Units: at_ms Unix milliseconds."""

    topic: str
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]
    at_ms: int


class Records:
    """Makes the records of one form. Errors: Invalid, from the constructor."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self._topic = Text(form.topic, NAMES)
        self._key = None if form.key is None else Text(form.key, NAMES)
        self._time = None if form.time is None else Value(form.time, NAMES)
        self.names_topic: Final = "{" in form.topic
        self._decodes = "{" in form.topic or form.key is not None or form.time is not None

    def of(self, queue: str, parcel: OutboundJob) -> Record:
        """Errors: Unfit."""
        values = names_of(parcel, queue, data_of(parcel) if self._decodes else None)
        try:
            topic = _made("topic", self._topic, values)
            key = None if self._key is None else _made("key", self._key, values).encode(errors="replace")
            at_ms = parcel.at_ms if self._time is None else _time_ms(self._time, values, self._form.times)
        except ExpressionFailed as error:
            raise Unfit(str(error)) from error
        check_topic(topic)
        return Record(
            topic=topic,
            key=key or None,
            value=_json(readable(parcel.data)) if self._form.value == "json" else parcel.data or NULL,
            headers=[("id", parcel.id.encode()), ("queue", queue.encode()), ("name", parcel.name.encode())],
            at_ms=at_ms,
        )


def _made(what: str, text: Text, values: Mapping[str, object]) -> str:
    try:
        return text.render(values)
    except ExpressionFailed as error:
        raise Unfit(f"no {what}: {error}") from error


def check_topic(topic: str) -> None:
    """Errors: Unfit."""
    if not _TOPIC.match(topic):
        raise Unfit(f"{topic[:80]!r} is no name of a topic")


def _time_ms(time: Value, values: Mapping[str, object], times: TimeFormat) -> int:
    value = time.of(values)
    if value is MISSING:
        raise Unfit(f"time: {time.lack(values)}")
    try:
        found = times.ms(value)
    except NoTime as error:
        raise Unfit(f"time: {error}") from None
    if found < 0:
        raise Unfit("time: it is before 1970")
    return found
