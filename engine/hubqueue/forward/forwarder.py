"""The forwarder: lease a batch, write it to the sink, complete it; while the link is down, nothing.

Lanes work side by side, as many as `concurrency`; with one, batches go strictly one after another. The local
complete comes only after the other side's ok: if the process dies between the two, the batch is leased and
written again and the other side knows its ids. A lost link gives everything back in its place and counts
nothing (P5); which job may be the cause of it is the `judge`'s to say. Built by app.py and by the public Queue.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Self

from hubqueue.errors import HubqueueError
from hubqueue.forward.backlog import backlog
from hubqueue.forward.breaker import LinkState
from hubqueue.forward.deliver import advance
from hubqueue.forward.horizon import Horizon
from hubqueue.forward.judge import Failed, Judge
from hubqueue.forward.link import Link, Permit
from hubqueue.forward.outbound import outbound_jobs
from hubqueue.forward.ratelimiter import RateLimiter
from hubqueue.forward.settings import ForwardSettings
from hubqueue.forward.sink import Batch, Sink
from hubqueue.forward.status import Event, Forwarded, ForwardStatus, LinkChanged, Refused, Tally
from hubqueue.forward.verdict import Down, Rejected
from hubqueue.hub.isolation import Isolation
from hubqueue.hub.leasekeeper import LeaseKeeper
from hubqueue.model.job import Flag, Leased
from hubqueue.model.outcome import Complete, Fail, Reject, Settlement
from hubqueue.model.verbs import Renewal, Verbs
from hubqueue.system import SYSTEM, System

log = logging.getLogger(__name__)

RESTART_S: Final = 1.0  # before a part that failed, mostly because of the local hub, goes on
CANCEL_S: Final = 1.0  # then it is asked for again


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
        system: System = SYSTEM,
    ) -> None:
        """hub_id_of: under which hub_id a seq was accepted here; owner: of its leases, which no other forwarder may
        have; tally: counters that outlive this forwarder.
        """
        self.queue = queue
        self.settings = settings or ForwardSettings()
        self._local = local
        self._sink = sink
        self._mono_s = system.mono_s
        self._wall_ms = system.wall_ms
        self._hub_id_of = hub_id_of
        self._link = Link(sink, self.settings, self._link_changed, system)
        owner = owner or f"forward:{queue}:{sink.target}"
        self._keeper = LeaseKeeper(local, queue, owner, self.settings.lease_ms, system, self._lease_ended)
        self._reclaimed = False
        self._first = asyncio.Lock()
        self._horizon = Horizon(local, queue, system)
        self._pace = RateLimiter(self.settings.rate_per_s, self._mono_s())
        self._tally = tally or Tally(self._mono_s())
        self._down = False  # and told so; it may be told again with another reason
        self._listeners: list[Callable[[Event], None]] = []
        self._linking: list[asyncio.Task[None]] = []
        self._lanes: list[asyncio.Task[None]] = []
        self._returning: dict[asyncio.Task[None], None] = {}  # a set in order of arrival
        self._sending: set[asyncio.Task[None] | None] = set()
        self._stopping = False
        self._turns = Isolation()
        self._judge: Judge[Leased] = Judge(sink, self.settings, system)
        self._suspects = self._judge.suspects

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def start(self) -> None:
        """Begin to connect and to forward. Call it in the running event loop, once."""
        self._keeper.start()
        self._linking = [asyncio.create_task(self._always(self._link.keep))]
        self._lanes = [asyncio.create_task(self._always(self._lane)) for _ in range(self.settings.concurrency)]

    async def stop(self) -> None:
        """Lease no more, let the batches in flight arrive within the grace, give the rest back."""
        self._stopping = True
        for lane in self._lanes:
            if lane not in self._sending:
                lane.cancel()
        if self._lanes:
            await asyncio.wait(self._lanes, timeout=self.settings.stop_grace_s)
            await _cancel(self._lanes)
        await _cancel(self._returning)
        try:
            self._count_back(self._suspects.held())
            await self._keeper.give_back()
        finally:
            await self._keeper.close()
            await _cancel(self._linking)

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
        breaker, now_s = self._link.breaker, self._mono_s()
        down = breaker.last if breaker.state is not LinkState.UP else None
        worry = self._suspects.worry
        last = worry or breaker.last
        return ForwardStatus(
            queue=self.queue,
            target=self._sink.target,
            link=breaker.state,
            since_ms=self._wall_ms() - int((now_s - breaker.since_s) * 1000),
            reason=down.reason.value if down else None,
            error=last.error if last else None,
            alert=worry is not None or (down is not None and down.alert),
            retry_in_s=max(0.0, breaker.retry_at_s - now_s) if breaker.state is LinkState.DOWN else None,
            waiting=behind.waiting,
            delayed=behind.delayed,
            in_flight=self._keeper.count,
            oldest_ms=None if behind.oldest_at_ms is None else max(0, self._wall_ms() - behind.oldest_at_ms),
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
        await self._reclaim()
        while not self._stopping:
            async with self._link.admit() as permit:
                await self._next(permit)

    async def _reclaim(self) -> None:
        """Once: take back what a killed process held, or the jobs behind it would overtake it in the hub's grace."""
        async with self._first:
            if not self._reclaimed and (count := await self._keeper.reclaim()):
                log.info("leases of an earlier run given back queue=%s count=%d", self.queue, count)
            self._reclaimed = True

    async def _next(self, permit: Permit) -> None:
        suspect = self._suspects.due(self._mono_s())
        if suspect is not None:
            await self._try_again(suspect, permit)
            return
        count = self._pace.take(self._suspects.limit(permit.limit), self._mono_s())
        if count == 0:
            await asyncio.sleep(self._pace.wait_s())
            return
        jobs: Sequence[Leased] = ()
        wait_ms = 0 if permit.probe else self._suspects.wait_ms(self.settings.poll_ms, self._mono_s())
        try:
            jobs = await self._keeper.take(count, wait_ms)
        finally:
            self._pace.give_back(count - len(jobs))
        self._suspects.nobody_waits = not jobs
        if not jobs:
            self._link.quiet()
            return
        if len(jobs) == 1 and self._suspects.skip(jobs[0]):
            return
        await self._in_turn(self._turns.turn(alone=False), jobs, permit)

    async def _try_again(self, suspect: Leased, permit: Permit) -> None:
        """One that was set aside goes alone, so that it harms nobody but itself."""
        try:
            await self._in_turn(self._turns.turn(alone=True), (suspect,), permit, aside=True)
        finally:
            self._suspects.untried(suspect.job.id)

    async def _in_turn(
        self, turn: AbstractAsyncContextManager[None], jobs: Sequence[Leased], permit: Permit, *, aside: bool = False
    ) -> None:
        """Send them when it is their turn. What ends that, at whatever point, gives back what is still held."""
        lane = asyncio.current_task()
        self._sending.add(lane)
        try:
            async with turn:
                await self._go(jobs, permit, aside=aside)
        except BaseException:  # the grace of a stop is over, or the local hub has trouble
            await self._give_back([leased for leased in jobs if self._keeper.holds(leased)])
            raise
        finally:
            self._sending.discard(lane)

    async def _go(self, jobs: Sequence[Leased], permit: Permit, *, aside: bool) -> None:
        """Send what was leased, if the link still is what it was and the jobs are on the disk (engine-rules 55)."""
        if aside and await self._has_ended(jobs[0]):
            return
        await self._horizon.on_disk(jobs)
        if self._link.current(permit):
            ours = [leased for leased in jobs if self._keeper.standing(leased) is Renewal.RENEWED]
            if len(ours) < len(jobs):  # some were taken from us, or cancelled, before they left
                await self._give_back([each for each in jobs if self._keeper.standing(each) is not Renewal.RENEWED])
            if ours:
                await self._send(ours, permit)
        elif not aside:  # the link went down, or came back, meanwhile
            await self._give_back(jobs)

    async def _has_ended(self, suspect: Leased) -> bool:
        """Whether what is set aside is not to be tried again, and is held no more then.

        It was cancelled or removed; or its time is over, which while it is held here nobody else can say.
        """
        job, said = suspect.job, self._suspects.said(suspect.id)
        over = job.expires_at_ms is not None and job.expires_at_ms <= self._wall_ms()
        if not over:
            await self._keeper.renew((suspect,))
            if self._keeper.standing(suspect) is Renewal.RENEWED:
                return False
        if over and job.flags & Flag.KEEP_TRYING and said is not None:
            await self._keeper.settle([Settlement(suspect.id, suspect.token, Fail(said.error))])
        else:
            await self._give_back((suspect,))
        self._suspects.forget(suspect.id)
        return True

    async def _send(self, jobs: Sequence[Leased], permit: Permit) -> None:
        well = await self._judge.ask(jobs)
        floor = await self._horizon.floor() if self._sink.wants_floor else None
        progress = await advance(self._sink, Batch(self.queue, outbound_jobs(self.queue, jobs, self._hub_id_of), floor))
        if progress.down is None:
            self._link.delivered(permit)
        told = self._judge.sort(jobs, progress.results)
        await self._settle(told.ended)
        found = await self._judge.blame(jobs, progress, well=well)
        if isinstance(found.link, Failed):
            self._link.failed(found.link.down, permit.epoch)
        elif found.link is not None:
            self._link.cut(found.link.down, permit.epoch, narrow=found.link.narrow, wait=found.link.wait)
        await self._settle(found.ended)
        await self._give_back([*told.back, *found.back])

    async def _settle(self, ended: Sequence[tuple[Leased, Rejected | None]]) -> None:
        """Complete what arrived, dead-letter what was refused, and tell both."""
        if not ended:
            return
        await self._keeper.settle([self._settlement(leased, result) for leased, result in ended])
        arrived: list[str] = []
        for leased, result in ended:
            if result is None:
                arrived.append(leased.job.id)
                continue
            self._tally.rejected += 1
            log.warning("refused by the other side: %s job=%s code=%s", result.reason, leased.job.id, result.code)
            self._tell(Refused(self.queue, leased.job.id, result))
        if arrived:
            self._tally.delivered(len(arrived), self._mono_s())
            self._tell(Forwarded(self.queue, tuple(arrived)))

    def _settlement(self, leased: Leased, result: Rejected | None) -> Settlement:
        outcome = Complete(remove=self.settings.remove) if result is None else Reject(result.reason)
        return Settlement(leased.job.id, leased.token, outcome)

    async def _give_back(self, jobs: Sequence[Leased]) -> None:
        self._count_back(jobs)
        await self._keeper.release(jobs)

    def _count_back(self, jobs: Sequence[Leased]) -> None:
        for leased in jobs:
            self._suspects.given_back(leased.job.id)
        self._pace.give_back(len(jobs))
        self._tally.released += len(jobs)

    def _lease_ended(self, leased: Leased, renewal: Renewal) -> None:
        """Of a job that waits set aside: let go of it. What is under way is settled by what becomes of it."""
        if not self._suspects.waits(leased.id):
            return
        self._suspects.forget(leased.id)
        if renewal is Renewal.LOST:
            self._keeper.drop(leased)
        else:
            task = asyncio.create_task(self._give_back((leased,)))
            self._returning[task] = None
            task.add_done_callback(self._returning.pop)

    def _link_changed(self, state: LinkState, down: Down | None) -> None:
        self._tally.losses += down is not None and not self._down
        self._down = down is not None
        self._tell(LinkChanged(self.queue, state, down))

    def _tell(self, event: Event) -> None:
        for receive in tuple(self._listeners):
            try:
                receive(event)
            except Exception:  # a listener is a guest: its trouble stops nothing
                log.exception("listener failed queue=%s", self.queue)


async def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Until they have ended: up to Python 3.11 a cancellation may be swallowed on its way."""
    every = tuple(tasks)
    while left := [task for task in every if not task.done()]:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=CANCEL_S)
    await asyncio.gather(*every, return_exceptions=True)
