"""How far a partition is stored, as the job file notes it: with its last record, by which the topic is known again."""

from __future__ import annotations

from typing import Self
from zlib import crc32

import msgspec

from hubqueue.sources.message import Message


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """next: the offset of the record that is to be stored next; last: a digest of the one before it."""

    next: int
    last: int

    @classmethod
    def of(cls, message: Message) -> Self:
        """Where this record is the last one that is stored."""
        assert message.offset is not None
        return cls(message.offset + 1, crc32(message.payload, crc32(f"{message.at_ms} {message.key}".encode())))

    def fits(self, message: Message) -> bool:
        """Whether this is the record that was the last one: the topic is the one that was read."""
        return self == Mark.of(message)
