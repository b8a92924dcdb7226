"""From messages to jobs: what a source's settings make of each message. Pure and synchronous."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from hubqueue.ingest.into import Into
from hubqueue.ingest.mapper import Mapper
from hubqueue.ingest.outcome import Outcome, Routed
from hubqueue.model.job import Dedup
from hubqueue.sources.message import NAMES, Message, SourceCarrier


class SourceRouting:
    """The settings of one source, ready to run. Errors: Invalid names the first mistake."""

    def __init__(self, source: str, into: Into, remember: Dedup | None = None) -> None:
        """remember: how a message with an id is told from one that comes again, where `into` has no key of its own."""
        self._mapper: Final = Mapper(into, NAMES)
        self._carrier: Final = SourceCarrier(source)
        self._remember: Final = remember

    def one(self, message: Message, now_ms: int) -> Outcome:
        """What becomes of a message."""
        remember = self._remember
        if remember is not None:
            key = f"{remember.key}:{message.id}"
            remember = msgspec.structs.replace(remember, key=key) if message.id else None
        return self._mapper.map(message, self._carrier, now_ms, made_at_ms=message.at_ms, remember=remember)

    def route(self, messages: Iterable[Message], now_ms: int, routed: Routed | None = None) -> Routed:
        """Jobs of the messages, in order, added to what is routed already."""
        routed = Routed() if routed is None else routed
        for message in messages:
            routed.add(self.one(message, now_ms))
        return routed
