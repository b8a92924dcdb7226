"""The forwarder: lease a batch, write it to the sink, complete it; while the link is down, nothing.

Lanes work side by side, as many as `concurrency`; with one, batches go strictly one after another. The local
complete comes only after the other side's ok: if the process dies between the two, the batch is leased and
written again and the other side knows its ids. A lost link gives everything back in its place and counts
nothing (P5). Built by app.py and by the public Queue.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, Self

from hubqueue.errors import HubqueueError
from hubqueue.forward.backlog import backlog
from hubqueue.forward.breaker import LinkState
from hubqueue.forward.deliver import advance
from hubqueue.forward.leases import Leases
from hubqueue.forward.link import Link, Permit
from hubqueue.forward.pace import Pace
from hubqueue.forward.parcel import parcels
from hubqueue.forward.settings import ForwardSettings
from hubqueue.forward.sink import Batch, Sink
from hubqueue.forward.status import Event, Forwarded, ForwardStatus, LinkChanged, Refused, Tally
from hubqueue.forward.verdict import Down, Reason, Rejected
from hubqueue.model.job import Leased
from hubqueue.model.outcome import Complete, Reject, Settlement
from hubqueue.model.verbs import Verbs

log = logging.getLogger(__name__)

RESTART_S: Final = 1.0  # before a part that failed, mostly because of the local hub, goes on


class Forwarder:
    """Forwards `queue` of the hub `local` to `sink`, from `start` until `stop`, or inside `async with`."""

    def __init__(
        self,
        local: Verbs,
        queue: str,
        sink: Sink,
        settings: ForwardSettings | None = None,
        *,
        hub_id_of: Callable[[int], str],
        owner: str | None = None,
        tally: Tally | None = None,
    ) -> None:
        """hub_id_of: under which hub_id a seq was accepted here; owner: of its leases, which no other forwarder may
        have; tally: counters that outlive this forwarder.
        """
        self.queue = queue
        self.settings = settings or ForwardSettings()
        self._local = local
        self._sink = sink
        self._hub_id_of = hub_id_of
        self._link = Link(sink, self.settings, self._link_changed)
        self._leases = Leases(local, queue, owner or f"forward:{queue}:{sink.target}", self.settings.lease_ms)
        self._pace = Pace(self.settings.rate_per_s, time.monotonic())
        self._tally = tally or Tally(time.monotonic())
        self._listeners: list[Callable[[Event], None]] = []
        self._keepers: list[asyncio.Task[None]] = []
        self._lanes: list[asyncio.Task[None]] = []
        self._sending: set[asyncio.Task[None] | None] = set()
        self._stopping = False
        self._unexplained = ("", 0)  # the job that failed alone for no known reason, and how often in a row

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def start(self) -> None:
        """Begin to connect and to forward. Call it in the running event loop, once."""
        self._keepers = [asyncio.create_task(self._always(part)) for part in (self._link.keep, self._leases.renew)]
        self._lanes = [asyncio.create_task(self._always(self._lane)) for _ in range(self.settings.concurrency)]

    async def stop(self) -> None:
        """Lease no more, let the batches in flight arrive within the grace, give the rest back."""
        self._stopping = True
        for lane in self._lanes:
            if lane not in self._sending:
                lane.cancel()
        if self._lanes:
            _, late = await asyncio.wait(self._lanes, timeout=self.settings.stop_grace_s)
            await _cancel(late)
        await _cancel(self._keepers)

    def hurry(self) -> None:
        """Try a link that is down again now."""
        self._link.hurry()

    def listen(self, receive: Callable[[Event], None]) -> Callable[[], None]:
        """Call `receive` for every event of this forwarder. Returns what ends it."""
        self._listeners.append(receive)
        return lambda: self._listeners.remove(receive)

    async def status(self) -> ForwardStatus:
        """How it goes now, and how far it is behind."""
        behind = await backlog(self._local, self.queue)
        breaker, now_s, now_ms = self._link.breaker, time.monotonic(), time.time_ns() // 1_000_000
        down = breaker.last if breaker.state is not LinkState.UP else None
        return ForwardStatus(
            queue=self.queue,
            target=self._sink.target,
            link=breaker.state,
            since_ms=now_ms - int((now_s - breaker.since_s) * 1000),
            reason=down.reason.value if down else None,
            error=breaker.last.error if breaker.last else None,
            alert=down is not None and down.alert,
            retry_in_s=max(0.0, breaker.retry_at_s - now_s) if breaker.state is LinkState.DOWN else None,
            waiting=behind.waiting,
            delayed=behind.delayed,
            in_flight=self._leases.count,
            oldest_ms=None if behind.oldest_at_ms is None else max(0, now_ms - behind.oldest_at_ms),
            forwarded=self._tally.forwarded,
            rejected=self._tally.rejected,
            released=self._tally.released,
            batches=self._tally.batches,
            losses=self._tally.losses,
            rate_per_s=self._tally.per_s(now_s),
        )

    async def _always(self, part: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Keep a part of the forwarder running whatever happens to it."""
        while not self._stopping:
            try:
                await part()
                return
            except HubqueueError as error:
                log.warning(
                    "the local hub has trouble, tried again: %s queue=%s code=%s", error, self.queue, error.code
                )
            except Exception:  # a defect, perhaps of a foreign sink: forwarding must go on without a restart
                log.exception("part of a forwarder failed and is started again queue=%s", self.queue)
            await asyncio.sleep(RESTART_S)

    async def _lane(self) -> None:
        """One batch after another, each when the link admits it."""
        while not self._stopping:
            async with self._link.admit() as permit:
                await self._next(permit)

    async def _next(self, permit: Permit) -> None:
        count = self._pace.take(permit.limit, time.monotonic())
        if count == 0:
            await asyncio.sleep(self._pace.wait_s())
            return
        jobs: tuple[Leased, ...] = ()
        try:
            jobs = await self._leases.take(count, 0 if permit.probe else self.settings.poll_ms)
        finally:
            self._pace.give_back(count - len(jobs))
        if not jobs:
            self._link.quiet()
            return
        lane = asyncio.current_task()
        self._sending.add(lane)
        try:
            if self._link.current(permit):
                await self._send(jobs, permit)
            else:  # the link went down, or came back, during the long-poll
                await self._give_back(jobs)
        finally:
            self._sending.discard(lane)

    async def _send(self, jobs: tuple[Leased, ...], permit: Permit) -> None:
        try:
            floor = await self._leases.floor() if self._sink.wants_floor else None
            batch = Batch(self.queue, parcels(self.queue, jobs, self._hub_id_of), floor)
            progress = await advance(self._sink, batch)
        except BaseException:  # the grace of a stop is over, or the floor was not to be had
            await self._give_back(jobs)
            raise
        results, down = progress.results, progress.down
        if down is None:
            self._link.delivered(permit)
        else:
            self._link.failed(down, permit.epoch)
            if self._gives_up(jobs, down):
                results = [Rejected(down.reason.value, down.error)]
        if results:
            await self._settle(jobs[: len(results)], results)
        if len(results) < len(jobs):
            await self._give_back(jobs[len(results) :])

    async def _settle(self, jobs: Sequence[Leased], results: Sequence[Rejected | None]) -> None:
        """Complete what arrived, dead-letter what was refused, and tell both."""
        await self._leases.settle(
            [self._settlement(leased, result) for leased, result in zip(jobs, results, strict=True)]
        )
        arrived: list[str] = []
        for leased, result in zip(jobs, results, strict=True):
            if result is None:
                arrived.append(leased.job.id)
                continue
            self._tally.rejected += 1
            log.warning("refused by the other side: %s job=%s code=%s", result.reason, leased.job.id, result.code)
            self._tell(Refused(self.queue, leased.job.id, result))
        if arrived:
            self._tally.delivered(len(arrived), time.monotonic())
            self._tell(Forwarded(self.queue, tuple(arrived)))

    def _settlement(self, leased: Leased, result: Rejected | None) -> Settlement:
        outcome = Complete(remove=self.settings.remove) if result is None else Reject(result.reason)
        return Settlement(leased.job.id, leased.token, outcome)

    async def _give_back(self, jobs: Sequence[Leased]) -> None:
        self._pace.give_back(len(jobs))
        self._tally.released += len(jobs)
        await self._leases.release(jobs)

    def _gives_up(self, jobs: Sequence[Leased], down: Down) -> bool:
        """Whether one job alone has met the same unexplained trouble too often to be innocent."""
        if down.reason is not Reason.UNKNOWN or len(jobs) != 1:
            return False
        job, times = self._unexplained
        self._unexplained = (jobs[0].job.id, times + 1 if jobs[0].job.id == job else 1)
        return self._unexplained[1] >= self.settings.unknown_cap

    def _link_changed(self, state: LinkState, down: Down | None) -> None:
        self._tally.losses += down is not None
        self._tell(LinkChanged(self.queue, state, down))

    def _tell(self, event: Event) -> None:
        for receive in tuple(self._listeners):
            try:
                receive(event)
            except Exception:  # a listener is a guest: its trouble stops nothing
                log.exception("listener failed queue=%s", self.queue)


async def _cancel(tasks: Sequence[asyncio.Task[None]] | set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
