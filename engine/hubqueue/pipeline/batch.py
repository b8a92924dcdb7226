"""batch: one record with a list out of several records: so many of them, or what came within a time.

Rule: each record that waits is a value of its own in the state, so that one more rewrites no other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from hubqueue.pipeline.record import Record, Refused
from hubqueue.pipeline.step import CLOSED, State

MAX_BYTES: Final = 4 * 1024 * 1024  # a list that is so large goes on at once, below what a job may hold
MAX_COUNT: Final = 10_000
_HEAD: Final = "head"
_encode: Final = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettings:
    """Units: within_ms milliseconds after the first record of a list arrived."""

    count: int = 100
    within_ms: int = 5000


class _Head(msgspec.Struct, frozen=True, array_like=True):
    """Which records wait: numbers first to next - 1. bytes: their size. since_ms: when the first one arrived."""

    first: int = 0
    next: int = 0
    size: int = 0
    since_ms: int = 0


class Batch:
    """Lists of records in the order they came."""

    def __init__(self, settings: BatchSettings) -> None:
        self._settings: Final = settings

    def run(self, record: Record, state: State) -> tuple[Record, ...]:
        try:
            size = len(_encode(record.data))
        except (TypeError, OverflowError, ValueError) as error:
            raise Refused(f"it cannot be kept: {error}") from error
        if size > MAX_BYTES:
            raise Refused(f"it is larger than a batch may be: {size} bytes")
        head = _head(state)
        since_ms = record.at_ms if head.first == head.next else head.since_ms
        state.put(str(head.next), (record.data, record.name, record.at_ms, record.id, size))
        state.put(_HEAD, _Head(head.first, head.next + 1, head.size + size, since_ms))
        return ()

    def due_ms(self, state: State) -> int | None:
        head = _head(state)
        if head.first == head.next:
            return None
        return 0 if self._full(head) else head.since_ms + self._settings.within_ms

    def close(self, now_ms: int, state: State, *, waiting: bool = False, limit: int = CLOSED) -> Iterable[Record]:
        made: list[Record] = []
        head = _head(state)
        while len(made) < limit and head.first < head.next:
            if not self._full(head) and (waiting or head.since_ms + self._settings.within_ms > now_ms):
                break
            list_of, head = self._take(head, state)
            made.append(list_of)
        return made

    def shift(self, jump_ms: int, state: State) -> None:
        """The hub's clock has jumped: the wait does not go with it."""
        head = _head(state)
        if head.first < head.next:
            state.put(_HEAD, _Head(head.first, head.next, head.size, head.since_ms + jump_ms))

    def open_count(self, state: State) -> int:
        """Lists that are being filled."""
        head = _head(state)
        return int(head.first < head.next)

    def _full(self, head: _Head) -> bool:
        return head.next - head.first >= self._settings.count or head.size >= MAX_BYTES

    def _take(self, head: _Head, state: State) -> tuple[Record, _Head]:
        data: list[Any] = []
        first: Any = None
        taken = 0
        number = head.first
        while number < head.next and len(data) < self._settings.count:
            waiting: Any = state.get(str(number))
            if data and taken + waiting[4] > MAX_BYTES:
                break
            first = first or waiting
            data.append(waiting[0])
            taken += waiting[4]
            state.delete(str(number))
            number += 1

        since_ms = head.since_ms if number == head.next else _arrived(state, number)
        left = _Head(number, head.next, head.size - taken, since_ms)
        state.put(_HEAD, left)
        record = Record({"count": len(data), "records": data}, first[1], first[2], f"batch:{len(data)}:{first[3]}")
        return record, left


def _arrived(state: State, number: int) -> int:
    waiting: Any = state.get(str(number))
    return int(waiting[2])


def _head(state: State) -> _Head:
    found = state.get(_HEAD)
    if found is None:
        return _Head()
    return found if type(found) is _Head else msgspec.convert(found, _Head)
