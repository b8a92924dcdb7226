"""The sink that posts to an HTTP server as JSON: a request for each job, or one for a batch.

HTTP knows no ids: each request carries an Idempotency-Key, the same when it is sent again, for receivers that care.
Of a batch the receiver may refuse single jobs by the body of its answer; a whole batch that is refused is narrowed
down by `deliver`. Source: docs/forwarding.md; draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

import gzip
import hashlib
from typing import Any, Final
from urllib.parse import quote

import msgspec

from hubqueue.forward.content import data_of, own_fault
from hubqueue.forward.outbound import OutboundJob
from hubqueue.forward.sink import Batch, Partly
from hubqueue.forward.sinks.http.answer import Reply, failure
from hubqueue.forward.sinks.http.destination import HttpDestination
from hubqueue.forward.sinks.http.posting import Posting
from hubqueue.forward.verdict import Down, Rejected, verdict
from hubqueue.system import System
from hubqueue.wire.jsondata import plain

JSON: Final = "application/json"
WORTH_GZIP_BYTES: Final = 1000  # below it grows
_KEY_SAFE: Final = ":/@!$&'()*+,;=-._~"

_json: Final = msgspec.json.Encoder().encode


class Named(msgspec.Struct):
    """A job that the receiver of a batch refuses: by its place in the batch, or by its id."""

    index: int | None = None
    id: str | None = None
    reason: str = "refused"


class Report(msgspec.Struct):
    """What the receiver of a batch may answer."""

    rejected: list[Named] = []


_report: Final = msgspec.json.Decoder(Report).decode


class HttpSink(Posting):
    """Posts what `destination` says."""

    def __init__(self, destination: HttpDestination, system: System) -> None:
        super().__init__(destination.endpoint, destination.url, destination.write_timeout_s)
        self._to = destination
        self._wall_ms = system.wall_ms

    @property
    def target(self) -> str:
        return self._to.url

    async def write(self, batch: Batch) -> list[Rejected | None]:
        if self._to.batch:
            return await self._together(batch)
        results: list[Rejected | None] = []
        for parcel in batch.parcels:
            try:
                results.append(await self._alone(parcel, batch.queue))
            except Exception as error:  # whatever it is has a verdict
                meaning = verdict(error)
                if isinstance(meaning, Down):
                    raise Partly(results, meaning) from error
                results.append(meaning)
        return results

    async def _alone(self, parcel: OutboundJob, queue: str) -> Rejected | None:
        try:
            content = self._content(parcel, queue)
            raw = isinstance(content, bytes)
            body = content if raw else _json(plain(content))
        except Exception as error:
            return own_fault(error)
        await self._send(body, "application/octet-stream" if raw else JSON, parcel.id)
        return None

    async def _together(self, batch: Batch) -> list[Rejected | None]:
        results: list[Rejected | None] = [None] * len(batch.parcels)
        places, contents = [], []
        for place, parcel in enumerate(batch.parcels):
            try:
                contents.append(plain(self._content(parcel, batch.queue)))
            except Exception as error:
                results[place] = own_fault(error)
            else:
                places.append(place)
        if places:
            ids = [batch.parcels[place].id for place in places]
            key = hashlib.sha256("\n".join(ids).encode()).hexdigest()
            answers = refusals(await self._send(_json(contents), JSON, key), ids)
            for place, answer in zip(places, answers, strict=True):
                results[place] = answer
        return results

    async def _send(self, body: bytes, kind: str, key: str) -> Reply:
        poster = self._poster
        headers = {"Content-Type": kind, "Idempotency-Key": quote(key, safe=_KEY_SAFE)}
        compressed = self._to.gzip and len(body) >= WORTH_GZIP_BYTES
        if compressed:
            body = gzip.compress(body, 6, mtime=0)
            headers["Content-Encoding"] = "gzip"
        reply = await poster.send(self._to.method, body, headers)
        error = failure(
            reply, self._to.url, self._wall_ms(), compressed=compressed, server_errors=self._to.server_errors
        )
        if error is not None:
            raise error
        return reply

    def _content(self, parcel: OutboundJob, queue: str) -> Any:
        data = data_of(parcel)
        if self._to.body == "data":
            return data
        return {"id": parcel.id, "name": parcel.name, "queue": queue, "at": parcel.at_ms, "data": data}


def refusals(reply: Reply, ids: list[str]) -> list[Rejected | None]:
    """Which jobs of a batch the receiver refuses. An answer of another form refuses none."""
    results: list[Rejected | None] = [None] * len(ids)
    if not reply.headers.get("content-type", "").startswith(JSON):
        return results
    try:
        named = _report(reply.body).rejected
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return results
    for each in named:
        place = ids.index(each.id) if each.id in ids else each.index
        if place is not None and 0 <= place < len(ids):
            results[place] = Rejected("invalid", each.reason)
    return results
