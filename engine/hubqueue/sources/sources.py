"""All sources of a hub. Built and closed by app.py, before the hub.

Feeds are imported when there is one of their kind: a hub without sources does not carry their libraries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from hubqueue.errors import ConfigError
from hubqueue.hub.hub import Hub
from hubqueue.sources.settings import KafkaSource, Source
from hubqueue.sources.status import Status


class Feed(Protocol):
    """One source at work."""

    status: Status

    def start(self) -> None: ...
    async def close(self) -> None: ...


class Sources:
    """`start` until `close`. Errors: ConfigError at construction names a library that is missing; Invalid."""

    def __init__(self, hub: Hub, declared: Sequence[Source]) -> None:
        self._feeds = [_feed(hub, source) for source in declared]

    def start(self) -> None:
        """Connect each; returns at once, they come up by themselves."""
        for feed in self._feeds:
            feed.start()

    async def close(self) -> None:
        """Acknowledge what is on the disk and leave the rest to the other side."""
        await asyncio.gather(*(feed.close() for feed in self._feeds))

    def statuses(self) -> list[Status]:
        return [feed.status for feed in self._feeds]


def _feed(hub: Hub, source: Source) -> Feed:
    try:
        if isinstance(source, KafkaSource):
            from hubqueue.sources.kafka import KafkaFeed

            return KafkaFeed(hub, source)
        from hubqueue.sources.amqp import AmqpFeed

        return AmqpFeed(hub, source)
    except ImportError as error:
        raise missing(source) from error


def missing(source: Source) -> ConfigError:
    """What to say where the library of a source is not installed."""
    extra = "kafka" if isinstance(source, KafkaSource) else "amqp"
    return ConfigError(f"source {source.name}: its library is missing", hint=f"pip install 'hubqueue[{extra}]'")
