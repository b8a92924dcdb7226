"""The sink that writes to InfluxDB 1, 2 or 3 by line protocol: a batch is one write.

A point is known by its series and time, so writing it again changes nothing. Where the server writes some points of
a batch and refuses others, it says which (3) or not (1, 2: `deliver` finds them, as what is there may come again).
Source: InfluxDB, "/write" (1.8) and "/api/v2/write" (2.7, 3).
"""

from __future__ import annotations

import gzip
from typing import Final

import msgspec

from hubqueue.forward.content import own_fault
from hubqueue.forward.sink import Batch
from hubqueue.forward.sinks.http.answer import Reply, failure
from hubqueue.forward.sinks.http.posting import Posting
from hubqueue.forward.sinks.influx.destination import InfluxDestination
from hubqueue.forward.verdict import Rejected
from hubqueue.system import System


class Refusal(msgspec.Struct):
    """One line that the server did not write. line_number counts from 1."""

    line_number: int
    error_message: str = "refused"


class Partial(msgspec.Struct):
    """What InfluxDB 3 answers where it wrote the other lines."""

    data: list[Refusal]


_partial: Final = msgspec.json.Decoder(Partial).decode


class InfluxSink(Posting):
    """Writes what `destination` says."""

    def __init__(self, destination: InfluxDestination, system: System) -> None:
        super().__init__(destination.endpoint, destination.url, destination.write_timeout_s)
        self._to = destination
        self._wall_ms = system.wall_ms

    @property
    def target(self) -> str:
        return f"{self._to.url}/{self._to.store}"

    async def write(self, batch: Batch) -> list[Rejected | None]:
        results: list[Rejected | None] = [None] * len(batch.parcels)
        places, lines = [], []
        for place, parcel in enumerate(batch.parcels):
            try:
                lines.append(self._to.shape.line(parcel, batch.queue))
            except Exception as error:
                results[place] = own_fault(error)
            else:
                places.append(place)
        if lines:
            for place, refused in zip(places, await self._send(lines), strict=True):
                results[place] = refused
        return results

    async def _send(self, lines: list[bytes]) -> list[Rejected | None]:
        poster = self._poster
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        body = b"\n".join(lines)
        if self._to.gzip:
            body = gzip.compress(body, 6, mtime=0)
            headers["Content-Encoding"] = "gzip"
        reply = await poster.send("POST", body, headers)
        named = _refusals(reply, len(lines))
        if named is not None:
            return named
        error = failure(reply, self._to.url, self._wall_ms(), compressed=self._to.gzip)
        if error is not None:
            raise error
        return [None] * len(lines)


def _refusals(reply: Reply, count: int) -> list[Rejected | None] | None:
    """Which lines were not written, where the answer names them; None where it does not."""
    if reply.status not in (400, 422):
        return None
    try:
        refused = _partial(reply.body).data
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if not refused or not all(1 <= each.line_number <= count for each in refused):
        return None
    results: list[Rejected | None] = [None] * count
    for each in refused:
        results[each.line_number - 1] = Rejected("invalid", each.error_message)
    return results
