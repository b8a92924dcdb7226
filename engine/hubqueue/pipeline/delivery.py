"""Where the results of a pipeline go: jobs of queues, and messages of channels.

Jobs are enqueued by the settle that completes the inputs; what a sink gets goes through an internal queue and its
forwarder, so it survives a crash. Channels are told after the commit, and nobody else is: best effort.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from hubqueue.errors import HubqueueError
from hubqueue.expression import ExpressionFailed, Text
from hubqueue.model.job import NewJob
from hubqueue.model.limits import check_name, check_size
from hubqueue.model.outcome import Output
from hubqueue.pipeline.plan import Output as To
from hubqueue.pipeline.plan import ToChannel, ToQueue
from hubqueue.pipeline.record import Record, Refused

_encode: Final = msgspec.msgpack.Encoder().encode


class Delivery:
    """What is to be delivered when a batch is settled: collected by `add`, forgotten by `clear`."""

    def __init__(self, to: Sequence[To]) -> None:
        self._queues: Final = [
            (each.queue, each.name if isinstance(each, ToQueue) else None)
            for each in to
            if not isinstance(each, ToChannel)
        ]
        self._channels: Final = [each.channel for each in to if isinstance(each, ToChannel)]
        self.jobs: list[Output] = []
        self.messages: list[tuple[str, bytes]] = []

    def add(self, records: Sequence[Record], now_ms: int) -> None:
        """These go out, all of them or none. Errors: Refused."""
        jobs: list[Output] = []
        messages: list[tuple[str, bytes]] = []
        for record in records:
            data = _data_of(record)
            at_ms = min(record.at_ms, now_ms)  # a job of the future would be kept back until then
            if record.aside is not None:
                jobs.append(Output(record.aside, _job(record.name, data, at_ms)))
                continue
            for queue, name in self._queues:
                jobs.append(Output(queue, _job(_name_of(record, name), data, at_ms)))
            messages += [(channel, data) for channel in self._channels]
        self.jobs += jobs
        self.messages += messages

    def clear(self) -> None:
        """Nothing is to be delivered."""
        self.jobs = []
        self.messages = []


def _job(name: str, data: bytes, at_ms: int) -> NewJob:
    return NewJob(name=name, data=data, created_at_ms=at_ms)


def _data_of(record: Record) -> bytes:
    try:
        data = _encode(record.data)
        check_size(data)
    except (HubqueueError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Refused(f"its result cannot be kept as a job: {error}") from error
    return data


def _name_of(record: Record, name: Text | None) -> str:
    if name is None:
        return record.name
    try:
        made = name.render(record.values())
        check_name(made)
    except (ExpressionFailed, HubqueueError) as error:
        raise Refused(f"the name of its result cannot be made: {error}") from error
    return made


def decoded(data: bytes | None) -> Any:
    """The data of a job. Errors: Refused."""
    if data is None:
        return None
    try:
        return msgspec.msgpack.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Refused(f"its data cannot be read: {error}") from error
