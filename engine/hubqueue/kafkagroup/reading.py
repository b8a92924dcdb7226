"""One partition that is ours: its records through the steps, with a state and a clock of its own.

The clock is that of the log: windows of silent groups close as the times of the partition's records go on, so that
reading the same records again closes the same windows at the same places. No record is later than it is read. Only at
the end of the log does the wall clock take over, and then the member asks the group first whether the partition is
still its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from hubqueue.errors import HubqueueError
from hubqueue.kafkagroup.commitnote import Commit, Ledger, Note
from hubqueue.kafkagroup.deadletters import Letter, of_message, of_record
from hubqueue.kafkagroup.debt import Debt, Owed
from hubqueue.model.decode import Decode
from hubqueue.pipeline.late import Late
from hubqueue.pipeline.plan import Pipeline
from hubqueue.pipeline.record import Record, Refused
from hubqueue.pipeline.step import Memory
from hubqueue.pipeline.window import Window
from hubqueue.sources.message import Message
from hubqueue.sources.partition import Partition

TICK_MS: Final = 1000  # between looks for windows of silent groups, by the log's clock
SLICE: Final = 100  # records between turns of others on the loop


class Reading:
    """Given records by `take` and `run`; what comes out collects in `out`, until it is handed over, and in `dead`.

    held: records that wait to be run. debts: what came out and is not in every sink yet, the oldest first. torn: a
    look-up broke off between windows and what comes of them, so that only a new reading from `cut` can go on.
    """

    def __init__(self, pipeline: Pipeline, partition: Partition, decode: Decode, cut: Commit) -> None:
        self.partition: Final = partition
        self.position = cut.offset  # of the next record
        self.out: list[Record] = []
        self.dead: list[Letter] = []
        self.held: list[Message] = []
        self.debts: list[Debt] = []
        self.torn = False
        self.unkeyed = 0
        self._pipeline: Final = pipeline.name
        self._decode: Final = decode
        self._chain: Final = pipeline.chain()
        self._ledger: Ledger | None = None
        self._states: Final[dict[str, Memory]] = {}
        for place in self._chain.places:
            if isinstance(place.step, Window):
                self._ledger = Ledger(cut)
                place.step.resumed = self._ledger
                self._states[place.name] = self._ledger
            else:
                self._states[place.name] = Memory()
        self._clock_ms = 0
        self._before = cut  # from where all of `out` comes out again
        self._gap = False  # the next record is the first that is left after others were deleted

    @property
    def windowed(self) -> bool:
        return self._ledger is not None

    def cut(self) -> Commit:
        """From where another member would have to go on, but for what is owed; ask once all of `out` is handed over."""
        if self._ledger is None:
            return Commit(self.position, Note())
        return self._ledger.last if self.torn else self._ledger.cut(self.position)

    def settled_cut(self) -> Commit:
        """The same, with all that is owed still: no record before it needs to be read again."""
        cut = self.cut()
        self.debts = [debt for debt in self.debts if debt.left]
        return self.debts[0].cut if self.debts else cut

    def hand_over(self) -> list[Owed]:
        """What came out since, for those who write it; it is owed until they have."""
        out, self.out = self.out, []
        if not out:
            return []
        debt = Debt(self._before, len(out))
        self.debts.append(debt)
        return [Owed(record, debt) for record in out]

    @property
    def late(self) -> tuple[Late, ...]:
        return self._chain.late

    def gap(self, begin: int) -> None:
        """The records from the next one to this offset are gone."""
        self.position = begin
        self._gap = True
        if self._ledger is not None:
            self._ledger.gap(begin, _now_ms())  # until a record tells better

    def reach(self, position: int) -> None:
        """Everything before this has been taken: what is not records, too, as the marks of transactions."""
        if not self.held and position > self.position:
            self.position = position
            if self._ledger is not None:
                self._ledger.offset = position

    def take(self, messages: Sequence[Message]) -> None:
        """These are the next records of the partition."""
        self.held += messages

    async def run(self) -> None:
        """Run what is held. Errors: LinkDown of a look-up: the rest is held still, or the reading is torn."""
        read = [self._read(message) for message in self.held]
        await self._chain.prepare([record for _, record in read if isinstance(record, Record)], self._states)
        done = 0
        try:
            for index, (message, record) in enumerate(read):
                following = read[min(index + 1, len(read) - 1)][0]
                await self._run(message, record, min(_arrived_ms(message), _arrived_ms(following)))
                done += 1
                if done % SLICE == 0:
                    await asyncio.sleep(0)
        finally:
            del self.held[:done]

    def due(self, now_ms: int) -> bool:
        """Whether the wall clock would close something."""
        due_ms = self._chain.due_ms(self._states)
        return due_ms is not None and due_ms <= now_ms and now_ms > self._clock_ms

    async def close(self, now_ms: int) -> None:
        """Close what is over at that time. Errors: LinkDown of a look-up; the reading is of no more use then."""
        self._clock_ms = max(self._clock_ms, now_ms)
        while (due_ms := self._chain.due_ms(self._states)) is not None and due_ms <= self._clock_ms:
            self.torn = True  # until a look-up has answered, windows are closed and nobody has what comes out of them
            self._came_out(await self._chain.close(self._clock_ms, self._states, self._note))
            self.torn = False

    async def aclose(self) -> None:
        await self._chain.aclose()

    async def _run(self, message: Message, record: Record | Refused, latest_ms: int) -> None:
        """latest_ms: what came next was here by then, so no clock goes further, whatever this one claims."""
        assert message.offset is not None
        if self._ledger is not None:
            if self._gap:
                self._ledger.gap(self.position, _arrived_ms(message))
            self._ledger.offset, self._ledger.latest_ms = message.offset, latest_ms
        self._gap = False
        if isinstance(record, Refused):
            self.dead.append(of_message(message, str(record)))
        else:
            await self._tick(latest_ms)
            try:
                self._came_out(self._chain.run(record, self._states, self._note))
            except Refused as refused:
                self.dead.append(of_message(message, str(refused)))
            except Exception as error:  # a defect of a step that this record found
                self.dead.append(of_message(message, f"failed: {type(error).__name__}: {error}"))
        self.unkeyed += message.key is None
        self.position = message.offset + 1
        if self._ledger is not None:
            self._ledger.offset = self.position

    async def _tick(self, at_ms: int) -> None:
        if at_ms <= self._clock_ms:
            return
        over = at_ms // TICK_MS > self._clock_ms // TICK_MS
        self._clock_ms = at_ms
        if over and self._chain.timed:
            await self.close(at_ms)

    def _read(self, message: Message) -> tuple[Message, Record | Refused]:
        try:
            data = self._decode(message.payload)
        except HubqueueError as error:
            return message, Refused(f"undecodable: {error.message}")
        id = f"{message.topic}:{message.partition}:{message.offset}"
        return message, Record(data, "default", _arrived_ms(message), id)

    def _note(self, record: Record, refused: Refused) -> None:
        self.dead.append(of_record(record, str(refused)))

    def _came_out(self, records: Sequence[Record]) -> None:
        for record in records:
            if record.aside is None:
                if not self.out:
                    self._before = Commit(self.position, Note()) if self._ledger is None else self._ledger.last
                self.out.append(record)
            else:
                self.dead.append(of_record(record, f"late, for {record.aside}"))


def _arrived_ms(message: Message) -> int:
    """When it came to the brokers, as the record says; but what claims to be later than now has come now."""
    now_ms = _now_ms()
    return now_ms if message.at_ms is None else min(message.at_ms, now_ms)


def _now_ms() -> int:
    return int(time.time() * 1000)
