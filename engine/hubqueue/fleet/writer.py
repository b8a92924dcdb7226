"""Writing what came out to every sink of the pipeline. One try at a time; the member decides when to try again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from hubqueue.errors import ConfigError, HubqueueError
from hubqueue.expression import ExpressionFailed, Text
from hubqueue.forward.deliver import deliver
from hubqueue.forward.parcel import Parcel
from hubqueue.forward.sink import Batch, Sink
from hubqueue.forward.verdict import Down, Reason, Rejected, verdict
from hubqueue.model import payload as carried
from hubqueue.pipeline.plan import Pipeline, ToForward
from hubqueue.pipeline.record import Record

Lost = tuple[Record, str]  # and why no sink takes it


class _Way:
    """One sink and its connection."""

    def __init__(self, to: ToForward) -> None:
        self.to: Final = to
        self.sink: Final[Sink] = to.destination.sink()
        self.connected = False


class Writer:
    """All sinks of one pipeline. Errors: ConfigError at construction: an output that needs a hub."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline: Final = pipeline.name
        for each in pipeline.to:
            if not isinstance(each, ToForward):
                raise ConfigError(
                    f"pipeline {pipeline.name}: queues and channels are a hub's, and here is none",
                    hint="write to: {forward: {to: ...}}; another hub is one of the sinks, as in tls://hub.example",
                )
        self._ways = [_Way(each) for each in pipeline.to if isinstance(each, ToForward)]
        self.rejected = 0

    @property
    def targets(self) -> list[str]:
        return [way.sink.target for way in self._ways]

    async def write(self, records: Sequence[Record]) -> list[Lost] | Down:
        """Write to all sinks; what each will never take. Down: nothing is known, write all of it again."""
        lost: list[Lost] = []
        latest = list({record.id: record for record in records}.values())
        for way in self._ways:
            known = [(record, self._parcel(record, way.to.name)) for record in latest]
            lost += [(record, parcel) for record, parcel in known if isinstance(parcel, str)]
            good = [(record, parcel) for record, parcel in known if isinstance(parcel, Parcel)]
            size = way.to.settings.batch
            for at in range(0, len(good), size):
                part = good[at : at + size]
                found = await self._send(way, tuple(parcel for _, parcel in part))
                if isinstance(found, Down):
                    return found
                lost += [
                    (record, f"{each.code}: {each.reason}")
                    for (record, _), each in zip(part, found, strict=True)
                    if each is not None
                ]
        self.rejected += len(lost)
        return lost

    async def close(self) -> None:
        for way in self._ways:
            way.connected = False
            await way.sink.close()

    async def _send(self, way: _Way, parcels: tuple[Parcel, ...]) -> list[Rejected | None] | Down:
        if not way.connected:
            try:
                await way.sink.connect()
            except Exception as error:  # whatever a sink raises has a verdict
                meaning = verdict(error)
                return meaning if isinstance(meaning, Down) else Down(Reason.UNKNOWN, meaning.reason)
            way.connected = True
        try:
            found = await deliver(way.sink, Batch(way.to.queue, parcels))
        except asyncio.CancelledError:  # nobody knows what of it was written: that connection says no more
            way.connected = False
            await way.sink.close()
            raise
        if isinstance(found, Down):
            way.connected = False
            await way.sink.close()
        return found

    def _parcel(self, record: Record, name: Text | None) -> Parcel | str:
        try:
            made = record.name if name is None else name.render(record.values())
            return Parcel(f"{self._pipeline}:{record.id}", made, carried.encode(record.data), record.at_ms)
        except (ExpressionFailed, HubqueueError, msgspec.MsgspecError) as error:
            return f"cannot be written: {error}"
