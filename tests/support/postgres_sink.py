"""What tests of the PostgreSQL sink share: a sink as the configuration makes it, and jobs for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pytest

from hubqueue.forward.outbound import OutboundJob
from hubqueue.forward.sink import Batch, Sink
from hubqueue.forward.sinks.maker import make_sink
from hubqueue.forward.verdict import Down, verdict
from hubqueue.model.payload import encode
from support.onward import way_of
from support.postgres import PASSWORD, Postgres
from support.waiting import soon

COLUMNS: Final[Mapping[str, Any]] = {"n": {"from": "data.n", "type": "integer"}, "device": "data.device"}


def sink_of(server: Postgres, to: str | None = None, **section: Any) -> Sink:
    options = {"password": PASSWORD, **section}
    keys: dict[str, Any] = {key: options.pop(key) for key in ("ca_file", "write_timeout") if key in options}
    options = {key: value for key, value in options.items() if value is not None}
    return make_sink(way_of({"to": to or server.url(), "postgres": options, **keys}).destination)


def parcel(n: int, data: Any = None, *, at_ms: int = 1_700_000_000_000) -> OutboundJob:
    return OutboundJob(f"fwd:edge:readings:{n}", "reading", encode({"n": n} if data is None else data), at_ms)


def batch(*parcels: OutboundJob) -> Batch:
    return Batch("readings", parcels)


async def trouble(sink: Sink) -> Down:
    with pytest.raises(Exception) as failure:
        await soon(sink.connect())
    found = verdict(failure.value)
    assert isinstance(found, Down)
    return found
