"""One sink of a pipeline and what it is still owed, in the order in which that came out.

Rules:
- What is owed stays so until the sink has it or never takes it, whatever breaks a write off.
- A record that breaks the sink while others pass is found out as a forwarder does it (forward/judge.py, suspects.py):
  set aside here, so that others go, tried again alone, refused in the end.
- What came out again while it is owed (a window, a record that was read again) takes the place of the earlier one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import islice
from typing import Final

import msgspec

from hubqueue.forward.deliver import advance
from hubqueue.forward.destination import Destination
from hubqueue.forward.judge import Failed, Judge
from hubqueue.forward.outbound import OutboundJob
from hubqueue.forward.sink import Batch, Sink
from hubqueue.forward.sinks.maker import make_sink
from hubqueue.forward.verdict import Down, Reason, Rejected, verdict
from hubqueue.forward.width import Width
from hubqueue.kafkagroup.debt import Debt, Owed
from hubqueue.model.backoff import ExponentialBackoff
from hubqueue.pipeline.plan import ToForward
from hubqueue.system import SYSTEM, System

SUSPECTS_S: Final = 1.0  # of one push, for what is set aside


class Shipment(msgspec.Struct, frozen=True):
    """A record on its way to this sink."""

    owed: Owed
    parcel: OutboundJob

    @property
    def id(self) -> str:
        return self.parcel.id


class Way:
    """`put`, then `push`. ended: is told of each record that the sink has, or why it never takes it.

    failures: writes and connections that failed and are tried again.
    """

    def __init__(
        self,
        to: ToForward,
        ended: Callable[[Owed, str | None], None],
        make: Callable[[Destination], Sink] = make_sink,
        system: System = SYSTEM,
    ) -> None:
        self.to: Final = to
        self.failures = 0
        self._sink: Final[Sink] = make(to.destination)
        self._ended: Final = ended
        self._mono_s: Final = system.mono_s
        self._chance: Final = system.chance
        self._judge: Final[Judge[Shipment]] = Judge(self._sink, to.settings, system)
        self._suspects: Final = self._judge.suspects
        self._width: Final = Width(to.settings.batch, to.settings.probe_batch)
        self._owed: Final[dict[str, Shipment]] = {}
        self._connected = False

    @property
    def aside(self) -> int:
        """Records that are set aside."""
        return self._suspects.aside

    def put(self, owed: Owed, parcel: OutboundJob) -> None:
        """The sink is to have this."""
        earlier = self._owed.get(parcel.id)
        if earlier is not None:
            self._suspects.given_back(parcel.id)
            earlier.owed.settle()
        self._owed[parcel.id] = Shipment(owed, parcel)

    def forget(self, debts: Collection[Debt]) -> None:
        """These are somebody else's now. What is known of their records stays: they may come back."""
        for id, each in list(self._owed.items()):
            if each.owed.debt in debts:
                del self._owed[id]
                self._suspects.given_back(id)

    async def push(self, *, more: bool) -> Down | None:
        """Write until nothing is left but what is set aside. Down: the sink takes nothing now.

        more: others will come at once, so that what is set aside is not alone here.
        """
        until_s = self._mono_s() + SUSPECTS_S
        while batch := self._next(suspects=self._mono_s() < until_s, more=more):
            try:
                down = await self._connect()
                if down is None:
                    down = await self._write(batch)
            except asyncio.CancelledError:  # nobody knows what of it was written: that connection says no more
                await self.close()
                raise
            finally:
                self._suspects.untried(batch[0].id)
            if down is not None:
                return down
        return None

    async def close(self) -> None:
        self._connected = False
        await self._sink.close()

    def _next(self, *, suspects: bool, more: bool) -> Sequence[Shipment]:
        """One that is set aside and due, or those that wait, as many as may go together."""
        while True:
            now_s = self._mono_s()
            suspects = suspects and not self._suspects.rests(now_s)  # others may wait to be read
            suspect = self._suspects.due(now_s) if suspects else None
            if suspect is None:
                waiting: Iterable[Shipment] = self._owed.values()
                if self._suspects.aside:
                    waiting = (each for each in waiting if not self._suspects.is_aside(each.id))
                batch = list(islice(waiting, self._suspects.limit(self._width.limit)))
                self._suspects.nobody_waits = not batch and not more
                if batch and not (len(batch) == 1 and self._suspects.skip(batch[0])):
                    return batch
                if batch:
                    continue  # it was set aside
                suspect = self._suspects.due(now_s) if suspects else None  # now that nobody waits
            return () if suspect is None else (suspect,)

    async def _connect(self) -> Down | None:
        if self._connected:
            return None
        try:
            async with asyncio.timeout(self.to.settings.connect_timeout_s):
                await self._sink.connect()
        except Exception as error:  # whatever a sink raises has a verdict
            meaning = verdict(error)
            down = meaning if isinstance(meaning, Down) else Down(Reason.PROTOCOL, meaning.reason)
            return await self._failed(down)
        self._connected = True
        return None

    async def _write(self, batch: Sequence[Shipment]) -> Down | None:
        well = await self._judge.ask(batch)
        progress = await advance(self._sink, Batch(self.to.queue, tuple(each.parcel for each in batch)))
        if progress.down is None:
            self._width.delivered()
        told = self._judge.sort(batch, progress.results)
        self._end(told.ended)
        found = await self._judge.blame(batch, progress, well=well)
        self._end(found.ended)
        for each in (*told.back, *found.back):
            self._suspects.given_back(each.id)
        if isinstance(found.link, Failed):
            return await self._failed(found.link.down)
        if found.link is not None:
            self.failures += 1
            await self.close()
            if found.link.narrow:
                self._width.narrow()
            if found.link.wait:
                settings = self.to.settings
                await asyncio.sleep(
                    ExponentialBackoff(settings.backoff_s, settings.backoff_cap_s, self._chance).first_s()
                )
        if told.back:  # more than can be set aside
            return next(each for each in progress.results if isinstance(each, Down))
        return None

    async def _failed(self, down: Down) -> Down:
        self.failures += 1
        self._width.failed(down)
        await self.close()
        return down

    def _end(self, ended: Sequence[tuple[Shipment, Rejected | None]]) -> None:
        for each, rejected in ended:
            del self._owed[each.id]
            why = None if rejected is None else f"{self._sink.target}: {rejected.code}: {rejected.reason}"
            self._ended(each.owed, why)
