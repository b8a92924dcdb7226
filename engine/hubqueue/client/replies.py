"""What each command answers, as the structs the client reads it into. Fields nobody reads are skipped."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from hubqueue.client.jobmap import WireJob, present, text
from hubqueue.errors import ProtocolError
from hubqueue.model.channel import ChannelMessage
from hubqueue.model.verbs import Counts, Event, Retried

R = TypeVar("R", bound=msgspec.Struct)


class Done(msgspec.Struct):
    """All commands that say no more than ok."""


class IdReply(msgspec.Struct):
    """PUSH."""

    id: str


class IdsReply(msgspec.Struct):
    """PUSHB, Clean, Settle."""

    ids: list[str] = []


class StoredBlob(msgspec.Struct):
    """One of GetBlobs."""

    key: str
    value: bytes


class BlobsReply(msgspec.Struct):
    """GetBlobs."""

    blobs: list[StoredBlob] = []


class CountReply(msgspec.Struct):
    """PromoteJobs, PurgeDlq, Drain."""

    count: float = 0


class RetriedReply(msgspec.Struct):
    """RetryDlq, RetryCompleted. A hub of an older version, or another server, says the count alone."""

    count: float = 0
    passed: float = 0
    kept: float = 0
    why: str | None = None

    def value(self) -> Retried:
        """What became of them, as the model has it."""
        return Retried(int(self.count), int(self.passed), int(self.kept), self.why)


class LeaseReply(msgspec.Struct):
    """PULLB."""

    jobs: list[WireJob] = []
    tokens: list[str] = []


class StateReply(msgspec.Struct):
    """GetState."""

    state: str


class JobReply(msgspec.Struct):
    """GetJob."""

    job: WireJob


class JobsReply(msgspec.Struct):
    """GetJobs."""

    jobs: list[WireJob] = []
    cursor: float | None = None


class Renewals(msgspec.Struct):
    """ExtendLocks: one word for each lease, from hubs that say it."""

    renewals: list[str] | None = None


class HeartbeatReply(msgspec.Struct):
    """JobHeartbeatB."""

    data: Renewals


class CountsReply(msgspec.Struct):
    """GetJobCounts. expired: a hub of ours says it."""

    counts: dict[str, float]
    expired: float = 0

    def value(self) -> Counts:
        """The counts as the model has them."""
        found = {name.replace("-", "_"): int(n) for name, n in self.counts.items()}
        return Counts(**{name: found.get(name, 0) for name in Counts.__struct_fields__})


class QueuesReply(msgspec.Struct):
    """ListQueues."""

    queues: list[str] = []


class PausedReply(msgspec.Struct):
    """IsPaused."""

    paused: bool = False


class WireEvent(msgspec.Struct, rename="camel"):
    """What follows SubscribeEvents. Units: milliseconds."""

    event_type: str
    queue: str
    job_id: str
    timestamp: float
    prev: str | None = None
    error: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()
    terminal: bool | None = None
    progress: float | None = None
    delay: float | None = None
    name: str | None = None


_decoders: Final[dict[type[Any], msgspec.msgpack.Decoder[Any]]] = {}


def read(reply: bytes, kind: type[R]) -> R:
    """The reply as this struct.

    Errors: ProtocolError when it has another shape.
    """
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind)
    try:
        answer: R = decoder.decode(reply)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ProtocolError(f"an answer of another shape: {error}") from error
    return answer


class WireMessage(msgspec.Struct):
    """What follows SubscribeChannel. Units: milliseconds."""

    channel: str
    data: msgspec.Raw
    timestamp: float


class PublishReply(msgspec.Struct):
    """Publish."""

    receivers: int


def message_of(data: msgspec.Raw) -> ChannelMessage:
    """The channel message in a pushed message."""
    wire = read(bytes(data), WireMessage)
    return ChannelMessage(wire.channel, bytes(wire.data), int(wire.timestamp))


def event_of(data: msgspec.Raw) -> Event:
    """The event in a pushed message."""
    wire = read(bytes(data), WireEvent)
    return Event(
        kind=wire.event_type,
        queue=wire.queue,
        job_id=wire.job_id,
        at_ms=int(wire.timestamp),
        prev=wire.prev,
        error=text(wire.error),
        data=present(wire.data),
        terminal=wire.terminal,
        progress=wire.progress,
        delay_ms=None if wire.delay is None else int(wire.delay),
        name=wire.name,
    )
