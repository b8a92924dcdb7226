"""A sink by itself, as the configuration makes it: connected, written to, closed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from hubqueue.forward.deliver import deliver
from hubqueue.forward.outbound import OutboundJob, forward_id
from hubqueue.forward.sink import Batch, Sink
from hubqueue.forward.sinks.maker import make_sink
from hubqueue.forward.verdict import Down, Rejected
from support import onward

QUEUE = "readings"


@asynccontextmanager
async def sink_of(to: str, **keys: Any) -> AsyncIterator[Sink]:
    """The sink of a forwarder with these keys, connected."""
    sink = make_sink(onward.way_of({"to": to, **keys}).destination)
    await sink.connect()
    try:
        yield sink
    finally:
        await sink.close()


def parcel(seq: int, data: Any = None, *, name: str = "reading", at_ms: int = 0) -> OutboundJob:
    return OutboundJob(forward_id("edge", QUEUE, seq), name, msgspec.msgpack.encode(data), at_ms)


def batch(*data: Any) -> Batch:
    """Jobs 1, 2, ... with this data."""
    return Batch(QUEUE, tuple(parcel(seq, each) for seq, each in enumerate(data, 1)))


async def written(sink: Sink, given: Batch) -> list[Rejected | None]:
    """What became of each job, as a forwarder finds it out."""
    results = await deliver(sink, given)
    assert not isinstance(results, Down), results
    return results


async def down(sink: Sink, given: Batch) -> Down:
    """Why the link is down."""
    results = await deliver(sink, given)
    assert isinstance(results, Down), results
    return results
