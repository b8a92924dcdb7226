"""One named forwarder of a hub: it runs while it is not paused and its hours are open, and is idle otherwise.

An idle one holds no connection and no lease. A drain opens closed hours once, for as many jobs as waited when it was
asked for. What happens is told to the hub's subscribers as the events `forwarder:link`, `forwarded` and `rejected`.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Final

import msgspec

from hubqueue.errors import HubqueueError, WrongState
from hubqueue.forward.backlog import backlog
from hubqueue.forward.breaker import LinkState
from hubqueue.forward.forwarder import Forwarder
from hubqueue.forward.plan import Plan
from hubqueue.forward.sinks.maker import make_sink
from hubqueue.forward.status import Event, Forwarded, ForwardStatus, LinkChanged, Refused, Tally
from hubqueue.forward.verdict import Down
from hubqueue.hub.hub import Hub
from hubqueue.model.hours import Span

log = logging.getLogger(__name__)

RECHECK_S: Final = 1.0  # hub time may jump, so nobody sleeps until hours open

_encode: Final = msgspec.msgpack.Encoder().encode


class ForwarderStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One forwarder of a hub at one moment. retiring: forgotten when it is done; hours None: it may always run."""

    plan: Plan
    paused: bool
    draining: bool
    retiring: bool
    hours: Span | None
    now: ForwardStatus
    trouble: Down | None  # why the link was last lost


class ManagedForwarder:
    """`start` until `stop`; pause, resume and drain in between. Units: grace_s seconds that a stop gives batches."""

    def __init__(self, hub: Hub, plan: Plan, *, paused: bool, grace_s: float, retiring: bool = False) -> None:
        self.plan = plan
        self.paused = paused
        self.retiring = retiring  # said by the fleet, which forgets it then
        self._hub = hub
        self._settings = msgspec.structs.replace(plan.settings, stop_grace_s=grace_s)
        self._tally = Tally(hub.system.mono_s())
        self._told_of = _encode({"forwarder": plan.name})
        self._forwarder: Forwarder | None = None
        self._idle_since_ms = hub.now_ms()
        self._trouble: Down | None = None
        self._left = 0  # jobs that a drain has still to see off
        self._ending = False
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Run when it may. Call it in the running event loop, once."""
        self._hub.history.uplinks.add(self.plan.queue)
        self._task = asyncio.create_task(self._keep(), name=f"uplink-{self.plan.name}")

    async def stop(self) -> None:
        """Lease no more, let batches in flight arrive within the grace, give the rest back."""
        self._ending = True
        self._changed.set()
        if self._task is not None:
            await asyncio.shield(self._task)
        self._hub.history.uplinks.discard(self.plan.queue)

    def pause(self, *, paused: bool) -> None:
        """Lease no more, or go on. A drain ends with it."""
        self.paused = paused
        self._left = 0
        self._changed.set()

    async def drain(self) -> int:
        """Try at once what waits now or is delayed, whatever hours and back-off say; how many jobs that is.

        Errors: WrongState when the forwarder or its queue is paused.
        """
        if self.paused:
            raise WrongState(f"the forwarder {self.plan.name} is paused", hint="resume it first")
        counts = await self._hub.counts(self.plan.queue)
        if counts.paused:
            raise WrongState(f"the queue {self.plan.queue} is paused", hint="resume it first")
        if counts.delayed:
            await self._hub.long_work.promote_all(self.plan.queue)
            counts = await self._hub.counts(self.plan.queue)
        self._left = counts.waiting + counts.prioritized + (0 if self._forwarder is None else counts.active)
        if self._forwarder is not None:
            self._forwarder.hurry()
        self._changed.set()
        return self._left

    async def status(self) -> ForwarderStatus:
        """How it goes now, and how far it is behind."""
        now = await (self._idle() if self._forwarder is None else self._forwarder.status())
        return ForwarderStatus(
            plan=self.plan,
            paused=self.paused,
            draining=self._left > 0,
            retiring=self.retiring,
            hours=self._span(),
            now=now,
            trouble=self._trouble,
        )

    async def _idle(self) -> ForwardStatus:
        behind = await backlog(self._hub, self.plan.queue)
        at_ms = behind.oldest_at_ms
        return ForwardStatus(
            queue=self.plan.queue,
            target=make_sink(self.plan.destination, self._hub.system).target,
            link=LinkState.IDLE,
            since_ms=self._idle_since_ms,
            reason="paused" if self.paused else "hours",
            error=None if self._trouble is None else self._trouble.error,
            waiting=behind.waiting,
            delayed=behind.delayed,
            oldest_ms=None if at_ms is None else max(0, self._hub.now_ms() - at_ms),
            forwarded=self._tally.forwarded,
            rejected=self._tally.rejected,
            released=self._tally.released,
            batches=self._tally.batches,
            losses=self._tally.losses,
            rate_per_s=self._tally.per_s(self._hub.system.mono_s()),
        )

    async def _keep(self) -> None:
        """Hold the forwarder in the state that it should be in."""
        while True:
            self._changed.clear()
            span = self._span()
            if self._may_run(span):
                self._begin()
            else:
                await self._halt()
            if self._ending and self._forwarder is None:
                return
            await self._wait(span)
            if self._left:
                await self._look_for_the_end()

    def _may_run(self, span: Span | None) -> bool:
        return not self._ending and not self.paused and (span is None or span.open or self._left > 0)

    def _begin(self) -> None:
        if self._forwarder is None:
            owner = f"forward:{self.plan.queue}"  # one forwarder for a queue, so its leases are known after a kill
            forwarder = Forwarder(
                self._hub,
                self.plan.queue,
                make_sink(self.plan.destination, self._hub.system),
                self._settings,
                hub_id_of=self._hub.hub_id_of,
                owner=owner,
                tally=self._tally,
                system=self._hub.system,
            )
            forwarder.listen(self._heard)
            forwarder.start()
            self._forwarder = forwarder

    async def _halt(self) -> None:
        forwarder = self._forwarder
        if forwarder is None:
            return
        await forwarder.stop()
        self._forwarder = None
        self._idle_since_ms = self._hub.now_ms()
        if not self._ending:
            self._heard(LinkChanged(self.plan.queue, LinkState.IDLE))

    async def _wait(self, span: Span | None) -> None:
        timeout_s = RECHECK_S if span is not None or self._left else None
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), timeout_s)

    async def _look_for_the_end(self) -> None:
        """A drain is over too when nothing is left, as after a purge."""
        if self._forwarder is None:
            return
        try:
            status = await self._forwarder.status()
        except HubqueueError as error:
            log.warning("the end of a drain is looked for again: %s forwarder=%s", error, self.plan.name)
            return
        if not status.waiting + status.in_flight:
            self._left = 0
            self._changed.set()

    def _heard(self, event: Event) -> None:
        match event:
            case Forwarded(queue=queue, ids=ids):
                self._see_off(len(ids))
                for id in ids:
                    self._hub.tell("forwarded", queue, id, data=self._told_of)
            case Refused(queue=queue, id=id, rejected=rejected):
                self._see_off(1)
                self._hub.tell("rejected", queue, id, error=rejected.reason, data=self._told_of)
            case LinkChanged(queue=queue, state=state, down=down):
                self._trouble = down or self._trouble
                reason = None if down is None else down.reason.value
                alert = down is not None and down.alert
                told = {"forwarder": self.plan.name, "link": state.value, "reason": reason, "alert": alert}
                error = None if down is None else down.error
                self._hub.tell("forwarder:link", queue, "", error=error, data=_encode(told))

    def _see_off(self, count: int) -> None:
        if self._left:
            self._left = max(0, self._left - count)
            if not self._left:
                self._changed.set()

    def _span(self) -> Span | None:
        return None if self.plan.calendar is None else self.plan.calendar.at(self._hub.now_ms())
