"""The keeper of a forwarder's connection: connects, watches, backs off, and lets batches through while it is up.

The breaker decides; here are only the waiting and the telling. Lanes ask `admit` before they lease and report
what became of their batch; nobody else touches the sink's connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import msgspec

from hubqueue.forward.breaker import Breaker, LinkState
from hubqueue.forward.settings import ForwardSettings
from hubqueue.forward.sink import Sink
from hubqueue.forward.verdict import Down, Reason, Rejected, verdict
from hubqueue.system import System

log = logging.getLogger(__name__)


class Permit(msgspec.Struct, frozen=True):
    """The right to send one batch of at most `limit` jobs. probe: nobody else sends meanwhile."""

    limit: int
    probe: bool
    epoch: int


class Link:
    """The connection of one sink. `changed` is called after every change of state."""

    def __init__(
        self, sink: Sink, settings: ForwardSettings, changed: Callable[[LinkState, Down | None], None], system: System
    ) -> None:
        self._sink = sink
        self._settings = settings
        self._changed = changed
        self._mono_s = system.mono_s
        self._usable = asyncio.Event()
        self._broken = asyncio.Event()
        self._hurried = asyncio.Event()
        self._probe = asyncio.Lock()
        self.breaker = Breaker(
            settings.backoff_s,
            settings.backoff_cap_s,
            batch=settings.batch,
            probe=settings.probe_batch,
            now_s=self._mono_s(),
            chance=system.chance,
        )

    async def keep(self) -> None:
        """Hold the connection until cancelled."""
        try:
            while True:
                await self._back_off()
                await self._connect()
                if self.breaker.state is not LinkState.DOWN:
                    await self._watch(self.breaker.epoch)
                await self._sink.close()
        finally:
            await self._sink.close()

    def hurry(self) -> None:
        """Try a link that is down again now instead of after its back-off."""
        self.breaker.hurry(self._mono_s())
        self._hurried.set()

    @asynccontextmanager
    async def admit(self) -> AsyncIterator[Permit]:
        """Wait until the link takes a batch; while it is being probed, one batch at a time."""
        while True:
            await self._usable.wait()
            if self.breaker.state is LinkState.UP:
                yield self._permit(probe=False)
                return
            async with self._probe:
                if self.breaker.state is LinkState.PROBING:
                    yield self._permit(probe=True)
                    return

    def current(self, permit: Permit) -> bool:
        """Whether the connection the permit was given for is still the one in use."""
        return permit.epoch == self.breaker.epoch

    def quiet(self) -> None:
        """There was nothing to probe with."""
        self._tell(lambda: self.breaker.quiet(self._mono_s()))

    def delivered(self, permit: Permit) -> None:
        """A batch arrived."""
        self._tell(lambda: self.breaker.delivered(permit.epoch, self._mono_s()))

    def failed(self, down: Down, epoch: int) -> None:
        """A batch, the connection or the try to make one failed."""
        self._tell(lambda: self.breaker.failed(down, epoch, self._mono_s()))

    def cut(self, down: Down, epoch: int, *, narrow: bool, wait: bool) -> None:
        """One suspected job has ended the connection: see `Breaker.cut`."""
        self._tell(lambda: self.breaker.cut(down, epoch, self._mono_s(), narrow=narrow, wait=wait))

    def _permit(self, *, probe: bool) -> Permit:
        return Permit(self.breaker.limit, probe, self.breaker.epoch)

    async def _back_off(self) -> None:
        while (wait_s := self.breaker.retry_at_s - self._mono_s()) > 0:
            self._hurried.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._hurried.wait()

    async def _connect(self) -> None:
        epoch = self.breaker.epoch
        try:
            async with asyncio.timeout(self._settings.connect_timeout_s):
                await self._sink.connect()
        except Exception as error:  # whatever a sink raises, the link is down and tried again
            self.failed(_as_down(error), epoch)
        else:
            self._tell(lambda: self.breaker.connected(self._mono_s()))

    async def _watch(self, epoch: int) -> None:
        lost = asyncio.ensure_future(self._sink.lost())
        broken = asyncio.ensure_future(self._broken.wait())
        try:
            await asyncio.wait({lost, broken}, return_when=asyncio.FIRST_COMPLETED)
            if lost.done():
                error = lost.exception() or ConnectionResetError("the connection was closed")
                self.failed(_as_down(error), epoch)
        finally:
            lost.cancel()
            broken.cancel()
            await asyncio.gather(lost, broken, return_exceptions=True)

    def _tell(self, change: Callable[[], object]) -> None:
        before, failures, told = self.breaker.state, self.breaker.failures, self.breaker.last
        change()
        state, last = self.breaker.state, self.breaker.last
        if state is LinkState.DOWN:
            self._usable.clear()
            self._broken.set()
        else:
            self._broken.clear()
            self._usable.set()
        if state is not before or self.breaker.failures > failures:
            self._log(state)
        # down from the start, and now it is known why; or down for another reason now
        why = state is LinkState.DOWN and last is not None and (told is None or told.reason is not last.reason)
        if state is not before or why:
            self._changed(state, last if state is LinkState.DOWN else None)

    def _log(self, state: LinkState) -> None:
        breaker, target = self.breaker, self._sink.target
        if state is not LinkState.DOWN:
            level = logging.INFO if state is LinkState.UP else logging.DEBUG  # each try of an outage probes
            log.log(level, "link %s target=%s", state.value, target)
            return
        down = breaker.last
        assert down is not None  # the only way down is a failure
        known = breaker.failures > 1 or down.job is not None  # what is said of a job is logged with it
        level = logging.DEBUG if known else logging.WARNING if down.alert else logging.INFO
        wait_s = breaker.retry_at_s - self._mono_s()
        log.log(
            level,
            "link down, nothing is lost, tried again in %.1f s: %s target=%s reason=%s failures=%d",
            wait_s,
            down.error,
            target,
            down.reason.value,
            breaker.failures,
        )


def _as_down(error: BaseException) -> Down:
    """A connection that is refused as not valid is a mistake of the protocol, not of a job."""
    meaning = verdict(error) if isinstance(error, Exception) else Down(Reason.UNKNOWN, repr(error))
    return Down(Reason.PROTOCOL, meaning.reason) if isinstance(meaning, Rejected) else meaning
