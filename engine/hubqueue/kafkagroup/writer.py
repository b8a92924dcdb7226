"""What came out goes to every sink of the pipeline. One try at a time; the member decides when to try again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from typing import Final

import msgspec

from hubqueue.errors import ConfigError, HubqueueError
from hubqueue.expression import ExpressionFailed, Text
from hubqueue.forward.destination import Destination
from hubqueue.forward.outbound import OutboundJob
from hubqueue.forward.sink import Sink
from hubqueue.forward.sinks.maker import make_sink
from hubqueue.forward.verdict import Down
from hubqueue.kafkagroup.debt import Debt, Owed
from hubqueue.kafkagroup.way import Way
from hubqueue.model import payload as carried
from hubqueue.pipeline.plan import Pipeline, ToForward
from hubqueue.pipeline.record import Record


class Writer:
    """All sinks of one pipeline; each is owed every record, and none waits for another with what it is owed.

    written: records that all sinks have. lost: what one of them never takes, and why; settled by whoever takes it.
    make: makes a sink. Errors: ConfigError at construction: an output that needs a hub.
    """

    def __init__(self, pipeline: Pipeline, make: Callable[[Destination], Sink] = make_sink) -> None:
        self.written = 0
        self.lost: list[tuple[Owed, str]] = []
        self._pipeline: Final = pipeline.name
        for each in pipeline.to:
            if not isinstance(each, ToForward):
                raise ConfigError(
                    f"pipeline {pipeline.name}: queues and channels are a hub's, and here is none",
                    hint="write to: {forward: {to: ...}}; another hub is one of the sinks, as in tls://hub.example",
                )
        self._ways: Final = [Way(each, self._ended, make) for each in pipeline.to if isinstance(each, ToForward)]

    @property
    def failures(self) -> int:
        """Writes that failed and are tried again."""
        return sum(way.failures for way in self._ways)

    @property
    def aside(self) -> int:
        """Records that are set aside, since a sink breaks off over them."""
        return sum(way.aside for way in self._ways)

    def owe(self, owed: Iterable[Owed]) -> None:
        """Every sink is to have these."""
        for each in owed:
            each.sinks = len(self._ways)
            for way in self._ways:
                parcel = self._parcel(each.record, way.to.name)
                if isinstance(parcel, OutboundJob):
                    way.put(each, parcel)
                else:
                    self._ended(each, parcel)

    def forget(self, debts: Collection[Debt]) -> None:
        """These are owed by somebody else now."""
        self.lost = [(owed, why) for owed, why in self.lost if owed.debt not in debts]
        for way in self._ways:
            way.forget(debts)

    async def push(self, *, more: bool) -> list[Down]:
        """Write what is owed, to all sinks at once: of those that take nothing now, why. more: see `Way.push`."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(way.push(more=more)) for way in self._ways]
        return [down for task in tasks if (down := task.result()) is not None]

    async def close(self) -> None:
        for way in self._ways:
            await way.close()

    def _ended(self, owed: Owed, why: str | None) -> None:
        if why is not None:
            owed.refused = True
            self.lost.append((owed, why))
        elif owed.settle() and not owed.refused:
            self.written += 1

    def _parcel(self, record: Record, name: Text | None) -> OutboundJob | str:
        try:
            made = record.name if name is None else name.render(record.values())
            return OutboundJob(f"{self._pipeline}:{record.id}", made, carried.encode(record.data), record.at_ms)
        except (ExpressionFailed, HubqueueError, msgspec.MsgspecError) as error:
            return f"cannot be written: {error}"
