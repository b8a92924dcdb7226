"""Where all goes that comes out of the readings of a member: its sinks, the dead letters, and the figures."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Final

from hubqueue.errors import LinkDown
from hubqueue.forward.verdict import Down
from hubqueue.kafkagroup.deadletters import DeadLetters, of_record
from hubqueue.kafkagroup.metrics import MemberMetrics
from hubqueue.kafkagroup.patience import Trouble
from hubqueue.kafkagroup.reading import Reading
from hubqueue.kafkagroup.source import From
from hubqueue.kafkagroup.writer import Writer
from hubqueue.pipeline.plan import Pipeline

log = logging.getLogger(__name__)


class Outlet:
    """One try at a time; what was not taken is owed still."""

    def __init__(self, pipeline: Pipeline, source: From, figures: MemberMetrics) -> None:
        self._pipeline: Final = pipeline.name
        self._figures: Final = figures
        self._writer: Final = Writer(pipeline)
        self._dead: Final = DeadLetters(source.brokers, source.dead_letters)
        self._warned = False

    async def write(self, readings: Sequence[Reading], *, more: bool) -> Trouble | None:
        """Everything that came out is in the sinks or set aside, and what was refused where it belongs.

        more: there is more to read.
        """
        writer, figures = self._writer, self._figures
        for reading in readings:
            writer.owe(reading.hand_over())
        downs = await writer.push(more=more)
        figures.sink_up = not downs
        figures.written, figures.sink_failures, figures.aside = writer.written, writer.failures, writer.aside
        return await self._bury(readings) or _trouble(downs)

    def forget(self, reading: Reading) -> None:
        """Its partition is somebody else's now, with all that it owes."""
        self._writer.forget(set(reading.debts))

    async def close(self) -> None:
        await self._writer.close()
        await self._dead.close()

    async def _bury(self, readings: Sequence[Reading]) -> Trouble | None:
        lost = self._writer.lost
        letters = [letter for reading in readings for letter in reading.dead]
        letters += [of_record(owed.record, why) for owed, why in lost]
        try:
            await self._dead.write(letters)
        except LinkDown as error:
            return Trouble(error.message)
        self._figures.dead += len(letters)
        self._writer.lost = []
        for owed, _ in lost:
            owed.settle()
        for reading in readings:
            reading.dead = []
            self._count(reading)
        return None

    def _count(self, reading: Reading) -> None:
        for late in reading.late:
            self._figures.late += late.settle()
            late.tell(self._pipeline, time.monotonic())
        self._figures.unkeyed += reading.unkeyed if reading.windowed else 0
        if reading.windowed and reading.unkeyed and not self._warned:
            self._warned = True
            log.warning("records have no key: windows need all records of a group in one partition")
        reading.unkeyed = 0


def _trouble(downs: Sequence[Down]) -> Trouble | None:
    if not downs:
        return None
    waits = [down.retry_after_s for down in downs if down.retry_after_s is not None]
    return Trouble(f"a sink takes nothing: {'; '.join(down.error for down in downs)}", max(waits, default=None))
