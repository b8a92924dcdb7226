"""Where all goes that comes out of the readings of a member: its sinks, the dead letters, and the figures."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Final

from hubqueue.errors import LinkDown
from hubqueue.fleet.deadletters import DeadLetters, of_record
from hubqueue.fleet.figures import Figures
from hubqueue.fleet.patience import Trouble
from hubqueue.fleet.reading import Reading
from hubqueue.fleet.source import From
from hubqueue.fleet.writer import Writer
from hubqueue.forward.verdict import Down
from hubqueue.pipeline.plan import Pipeline

log = logging.getLogger(__name__)


class Outlet:
    """One try at a time; what was not taken stays in the readings."""

    def __init__(self, pipeline: Pipeline, source: From, figures: Figures) -> None:
        self._pipeline: Final = pipeline.name
        self._figures: Final = figures
        self._writer: Final = Writer(pipeline)
        self._dead: Final = DeadLetters(source.brokers, source.dead_letters)
        self._warned = False

    async def write(self, readings: Sequence[Reading]) -> Trouble | None:
        """Everything that came out is in the sinks, and what was refused where it belongs."""
        figures = self._figures
        out = [record for reading in readings for record in reading.out]
        if out:
            lost = await self._writer.write(out)
            figures.sink_up = not isinstance(lost, Down)
            if isinstance(lost, Down):
                figures.sink_failures += 1
                return Trouble(f"a sink takes nothing: {lost.error}", lost.retry_after_s)
            for reading in readings:
                reading.out = []
            readings[0].dead += [of_record(record, reason) for record, reason in lost]
            figures.written += len(out)
        dead = [letter for reading in readings for letter in reading.dead]
        try:
            await self._dead.write(dead)
        except LinkDown as error:
            return Trouble(error.message)
        figures.dead += len(dead)
        for reading in readings:
            reading.dead = []
            self._count(reading)
        return None

    async def close(self) -> None:
        await self._writer.close()
        await self._dead.close()

    def _count(self, reading: Reading) -> None:
        for late in reading.late:
            self._figures.late += late.settle()
            late.tell(self._pipeline, time.monotonic())
        self._figures.unkeyed += reading.unkeyed if reading.windowed else 0
        if reading.windowed and reading.unkeyed and not self._warned:
            self._warned = True
            log.warning("records have no key: windows need all records of a group in one partition")
        reading.unkeyed = 0
