"""A partition of a topic: how far it goes, how far it was read, and its records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from aiokafka.structs import ConsumerRecord

from hubqueue.errors import LinkDown
from hubqueue.sources.message import Message, text_of

DOUBTS: Final = 5  # looks until it is believed that a partition is shorter than what was read of it


class Partition(NamedTuple):
    """One partition of a topic."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}:{self.number}"


@dataclass(frozen=True, slots=True)
class Committed:
    """How far a group has read a partition, and what was noted with it."""

    offset: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """A partition as its broker has it: the offsets of its first record and of the next to come."""

    begin: int
    end: int
    committed: Committed | None

    def is_short(self, stored: int) -> bool:
        """Whether it seems to end before what was read of it."""
        return self.end < max(stored, 0 if self.committed is None else self.committed.offset)

    def first(self, start: Literal["earliest", "latest"], stored: int = 0) -> int:
        """Where to begin: behind what is stored here or committed. `start` is for a group that has read nothing."""
        if self.committed is None and not stored:
            return self.begin if start == "earliest" else self.end
        return max(self.begin, stored, 0 if self.committed is None else self.committed.offset)


class Short(LinkDown):
    """A partition seems to end before what was read of it: made anew, or its broker is behind for a moment."""

    def __init__(self, partition: Partition, known: Known) -> None:
        super().__init__(f"{partition} seems to end before what was read of it, at {known.end}; it is looked at again")


class OutOfRange(LinkDown):
    """What was to be read next of these partitions is not there: deleted by the brokers, or not written yet."""

    def __init__(self, partitions: set[Partition]) -> None:
        super().__init__(f"the next record is no longer there: {', '.join(sorted(map(str, partitions)))}")
        self.partitions = partitions


def message_of(record: ConsumerRecord) -> Message:
    """A record as sources carry it. A tombstone has an empty payload."""
    return Message(
        topic=record.topic,
        payload=record.value or b"",
        at_ms=record.timestamp if record.timestamp is not None and record.timestamp >= 0 else None,
        key=None if record.key is None else record.key.decode(errors="backslashreplace"),
        headers={name: text_of(value or b"") for name, value in record.headers},
        partition=record.partition,
        offset=record.offset,
    )
