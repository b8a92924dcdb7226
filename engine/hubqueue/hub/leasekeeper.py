"""Keeps what one owner has leased of a queue, from taking to settling: for workers, pipelines, forwarders and `take()`,
over any Verbs, near and far alike.

- All leases are renewed together, in every third of the shortest one, and at once when the link to the hub is back:
  what a broken connection held, the hub gives back after a grace that may be far shorter than a lease.
- What the hub says is told to the owner. A lost lease is kept no more. A cancelled one is, until its owner ends it.
- While the hub cannot be asked, a lease counts as good until its own deadline: then somebody else may run the job.
- A settle is asked for again while the hub may do it later, and the leases are renewed meanwhile. One that is refused
  is divided, so that a lease that is gone, or an outcome that cannot be stored, holds up no other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol, runtime_checkable

import msgspec

from hubqueue.errors import HubqueueError, Invalid, LockLost, LockRequired, NotFound, WrongState
from hubqueue.model.backoff import ExponentialBackoff
from hubqueue.model.job import Flag, Leased
from hubqueue.model.limits import MAX_LEASE_BATCH, MIN_LEASE_MS
from hubqueue.model.outcome import Outcome, Reject, Release, Settlement
from hubqueue.model.verbs import Renewal, Verbs
from hubqueue.system import System

BEATS_PER_LEASE: Final = 3  # two may fail before a lease runs out
SHORTEST_BEAT_S: Final = 0.05  # a job may ask for a lease of a millisecond
FIRST_RETRY_S: Final = 0.1
LONGEST_RETRY_S: Final = 5.0
GIVE_BACK_S: Final = 5.0  # at an end, to a hub that may be in trouble for good
LEASE_GONE: Final = (LockLost, LockRequired, NotFound, WrongState)

log = logging.getLogger(__name__)


@runtime_checkable
class Reclaims(Protocol):
    """A hub in this process: nobody else can hold what this owner had leased in an earlier life."""

    async def reclaim(self, queue: str, owner: str) -> int: ...


@runtime_checkable
class Linked(Protocol):
    """A hub at the other end of a link."""

    def on_link_up(self, tell: Callable[[], None]) -> Callable[[], None]:
        """Call `tell` whenever the link is up again. Returns what ends it."""
        ...


class _Held(msgspec.Struct, gc=False):
    """A lease. length_ms None: what it was leased for, which the hub knows."""

    leased: Leased
    expires_at_s: float
    length_ms: int | None = None


class LeaseKeeper:
    """The leases of `owner`. ended(lease, LOST or CANCELLED): told at each renewal until the owner lets go of it.

    Units: lease_ms milliseconds.
    """

    def __init__(
        self,
        verbs: Verbs,
        queue: str,
        owner: str,
        lease_ms: int,
        system: System,
        ended: Callable[[Leased, Renewal], None] = lambda leased, renewal: None,
    ) -> None:
        self._verbs: Final = verbs
        self._queue: Final = queue
        self._owner: Final = owner
        self._lease_ms: Final = lease_ms
        self._ended: Final = ended
        self._chance: Final = system.chance
        self._held: dict[str | None, _Held] = {}  # by token: a job may come again while its former run ends
        self._doubted: dict[str | None, Renewal] = {}  # of these: cancelled, or over by our own clock
        self._beat_s = lease_ms / 1000 / BEATS_PER_LEASE
        self._due = asyncio.Event()
        self._renewing: asyncio.Task[None] | None = None
        self._unwatch: Callable[[], None] | None = None

    @property
    def count(self) -> int:
        """Leases held now."""
        return len(self._held)

    def start(self) -> None:
        """Begin to renew. Call it in the running event loop, once."""
        self._renewing = asyncio.create_task(self._renew_all(), name=f"leases of {self._owner}")
        if isinstance(self._verbs, Linked):
            self._unwatch = self._verbs.on_link_up(self._due.set)

    async def close(self) -> None:
        """Renew no more. What is held still comes back when its lease is over."""
        if self._unwatch is not None:
            self._unwatch()
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait({self._renewing})

    async def reclaim(self) -> int:
        """Take back, each to its place, what an earlier life of this owner left behind here; how many."""
        return await self._verbs.reclaim(self._queue, self._owner) if isinstance(self._verbs, Reclaims) else 0

    async def take(self, count: int, wait_ms: int) -> list[Leased]:
        """Up to `count` jobs in the queue's order; waits up to wait_ms until there is one."""
        found = await self._verbs.lease(self._queue, count, owner=self._owner, lease_ms=self._lease_ms, wait_ms=wait_ms)
        now_s = asyncio.get_running_loop().time()
        expires_at_s = now_s + self._lease_ms / 1000
        for leased in found:
            held = self._held[leased.token] = _Held(leased, expires_at_s)
            if leased.job.flags & Flag.STALL_TIMEOUT:
                held.expires_at_s = now_s + self._length_ms(held) / 1000
                self._hasten(held)
        return found

    def holds(self, leased: Leased) -> bool:
        """Whether this lease has not been ended, however it stands."""
        return leased.token in self._held

    def standing(self, leased: Leased) -> Renewal:
        """How a lease stands, as far as is known. CANCELLED: it is for the owner to give back."""
        if leased.token not in self._held:
            return Renewal.LOST
        return self._doubted.get(leased.token, Renewal.RENEWED)

    async def renew(self, jobs: Sequence[Leased]) -> None:
        """Renew these now. Errors: those of the hub."""
        await self._extend([held for leased in jobs if (held := self._held.get(leased.token))], None)

    async def extend(self, leased: Leased, length_ms: int) -> None:
        """Lease this one for so long from now on. Errors: LockLost."""
        held = self._held.get(leased.token)
        if held is None:
            raise LockLost
        before, held.length_ms = held.length_ms, max(MIN_LEASE_MS, length_ms)
        self._hasten(held)
        try:
            await self._extend([held], held.length_ms)
        except BaseException:
            held.length_ms = before
            raise
        if self.standing(leased) is not Renewal.RENEWED:
            raise LockLost

    async def settle(
        self, settlements: Sequence[Settlement], *, as_long_as: Callable[[], bool] = lambda: True
    ) -> list[Outcome | None]:
        """End leases; the outcome stored of each, None where the lease was gone. Asks a hub in trouble again.

        What the hub cannot store rejects its job. Errors: what the hub says otherwise, and what it says when it is not
        to be asked again; then what was not settled is still held.
        """
        kept = [each for each in settlements if each.token in self._held]
        stored: list[Outcome | None] = []
        for start in range(0, len(kept), MAX_LEASE_BATCH):
            part = kept[start : start + MAX_LEASE_BATCH]
            stored += await self._store(part, as_long_as)
            self.settled(part)
        if len(kept) == len(settlements):
            return stored
        outcomes = dict(zip([each.token for each in kept], stored, strict=True))
        return [outcomes.get(each.token) for each in settlements]

    def settled(self, settlements: Sequence[Settlement]) -> None:
        """The owner has ended these itself: they are held no more."""
        held, doubted = self._held, self._doubted
        for each in settlements:
            held.pop(each.token, None)
            if doubted:
                doubted.pop(each.token, None)

    def drop(self, leased: Leased) -> None:
        """Let a lease be over without a word to the hub."""
        self._held.pop(leased.token, None)
        self._doubted.pop(leased.token, None)

    async def release(self, jobs: Sequence[Leased]) -> None:
        """Give jobs back, each to its place; nothing is counted. Waits for a hub in trouble."""
        try:
            await self.settle([Settlement(each.job.id, each.token, Release()) for each in jobs])
        except HubqueueError as error:
            lost = sum(each.token in self._held for each in jobs)
            log.warning("not given back, their leases end by themselves: %s count=%d code=%s", error, lost, error.code)
            for each in jobs:
                self.drop(each)

    async def give_back(self) -> None:
        """On the way out: give back all that is held, if the hub is not in trouble for long."""
        if not self._held:
            return
        try:
            async with asyncio.timeout(GIVE_BACK_S):
                await self.release([held.leased for held in self._held.values()])
        except TimeoutError:
            log.warning("not given back, their leases end by themselves queue=%s count=%d", self._queue, self.count)

    async def _renew_all(self) -> None:
        while True:
            lengths_ms = [self._length_ms(held) for held in self._held.values()]
            self._beat_s = _beat_s(min(lengths_ms, default=self._lease_ms))
            self._due.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._beat_s):
                    await self._due.wait()
            by_length: dict[int | None, list[_Held]] = {}
            for held in self._held.values():
                by_length.setdefault(held.length_ms, []).append(held)
            for length_ms, some in by_length.items():
                for start in range(0, len(some), MAX_LEASE_BATCH):
                    await self._beat(some[start : start + MAX_LEASE_BATCH], length_ms)

    async def _beat(self, some: list[_Held], length_ms: int | None) -> None:
        try:
            await self._ask(some, length_ms)
        except (HubqueueError, TimeoutError) as error:
            why = str(error) or "no answer"
            log.warning("leases not renewed, tried again: %s queue=%s count=%d", why, self._queue, len(some))
            self._doubt_ended()
        except Exception:  # a defect must not end the renewing
            log.exception("leases not renewed, tried again queue=%s count=%d", self._queue, len(some))

    async def _ask(self, some: list[_Held], length_ms: int | None) -> None:
        """Renew these, in a third of a usual lease: the shortest one must not end what is in time for the others."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + _beat_s(length_ms or self._lease_ms)
        asked = loop.create_task(self._extend(some, length_ms))
        try:
            while not asked.done():
                if loop.time() >= until_s:
                    raise TimeoutError
                await asyncio.wait({asked}, timeout=min(self._beat_s, until_s - loop.time()))
                if not asked.done():
                    self._doubt_ended()
            asked.result()
        finally:
            asked.cancel()

    def _doubt_ended(self) -> None:
        """Those that are over by our own clock."""
        now_s = asyncio.get_running_loop().time()
        for held in list(self._held.values()):
            if now_s >= held.expires_at_s:
                self._doubt(held, Renewal.LOST)

    async def _extend(self, some: Sequence[_Held], length_ms: int | None) -> None:
        asked_at_s = asyncio.get_running_loop().time()
        renewals = await self._verbs.extend([(held.leased.job.id, held.leased.token) for held in some], length_ms)
        for held, renewal in zip(some, renewals, strict=True):
            if renewal is Renewal.RENEWED:
                held.expires_at_s = asked_at_s + self._length_ms(held) / 1000
                self._doubted.pop(held.leased.token, None)
            else:
                self._doubt(held, renewal)
                if renewal is Renewal.LOST:
                    self.drop(held.leased)

    def _doubt(self, held: _Held, renewal: Renewal) -> None:
        token = held.leased.token
        if token not in self._held:  # it was ended meanwhile
            return
        self._doubted[token] = renewal
        try:
            self._ended(held.leased, renewal)
        except Exception:  # of whoever is told: it must not cost the other leases
            log.exception("the end of a lease could not be told job=%s", held.leased.job.id)

    def _length_ms(self, held: _Held) -> float:
        """How long a renewal is good for."""
        if held.length_ms is not None:
            return held.length_ms
        job = held.leased.job
        return (job.options.stall_timeout_ms if job.flags & Flag.STALL_TIMEOUT else None) or self._lease_ms

    def _hasten(self, held: _Held) -> None:
        """Renew soon enough for this one too."""
        if _beat_s(self._length_ms(held)) < self._beat_s:
            self._due.set()

    async def _store(self, settlements: Sequence[Settlement], as_long_as: Callable[[], bool]) -> list[Outcome | None]:
        backoff: ExponentialBackoff | None = None  # as a rule there is no need of it
        while True:
            try:
                await self._verbs.settle(settlements)
                return [each.outcome for each in settlements]
            except HubqueueError as error:
                if not error.retryable:
                    return await self._sort_out(settlements, error, as_long_as)
                if not as_long_as():
                    raise
                log.warning(
                    "not settled, tried again: %s queue=%s count=%d code=%s",
                    error, self._queue, len(settlements), error.code,
                )  # fmt: skip
            backoff = backoff or ExponentialBackoff(FIRST_RETRY_S, LONGEST_RETRY_S, self._chance)
            await asyncio.sleep(backoff.next_s())

    async def _sort_out(
        self, settlements: Sequence[Settlement], error: HubqueueError, as_long_as: Callable[[], bool]
    ) -> list[Outcome | None]:
        """One of them is refused: find out which, and keep it from holding up the others."""
        if len(settlements) > 1:
            half = len(settlements) // 2
            first = await self._store(settlements[:half], as_long_as)
            return first + await self._store(settlements[half:], as_long_as)
        (settlement,) = settlements
        if isinstance(error, LEASE_GONE):
            log.warning("lease lost before its end was stored job=%s code=%s", settlement.id, error.code)
            return [None]
        if not isinstance(error, Invalid) or isinstance(settlement.outcome, Reject):
            raise error
        log.warning("outcome refused, the job is rejected job=%s code=%s: %s", settlement.id, error.code, error)
        return await self._store([Settlement(settlement.id, settlement.token, Reject(error.message))], as_long_as)


def _beat_s(length_ms: float) -> float:
    return max(SHORTEST_BEAT_S, length_ms / 1000 / BEATS_PER_LEASE)
