"""What is kept of a message that became no job: the data of a dead letter of `_unroutable`, to be routed again."""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from hubqueue.model.job import Job, NewJob
from hubqueue.model.limits import MAX_KEPT_BYTES

NAME: Final = "unroutable"  # of such a job

_encode: Final = msgspec.msgpack.Encoder().encode


class Unread(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, rename="camel"):
    """What every door keeps, beside what it has of its own. Units: bytes; payload at most MAX_KEPT_BYTES, of size."""

    topic: str
    payload: bytes
    size: int

    @property
    def missing(self) -> int:
        """How much of the payload was too large to be kept."""
        return self.size - len(self.payload)


Kept = TypeVar("Kept", bound=Unread)


def head(payload: bytes) -> bytes:
    """As much of a payload as is kept."""
    return payload[:MAX_KEPT_BYTES]


def unread_data(kept: Unread) -> bytes:
    """The data of the job under which it is kept."""
    return _encode(kept)


def unread_job(kept: Unread) -> NewJob:
    """The job under which it is kept."""
    return NewJob(name=NAME, data=unread_data(kept), max_attempts=1)


def unread(job: Job, decoder: msgspec.msgpack.Decoder[Kept]) -> Kept | None:
    """What is kept of a message; None where the job is none of this door."""
    try:
        return decoder.decode(job.data or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
