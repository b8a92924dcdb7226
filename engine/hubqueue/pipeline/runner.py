"""The runner: takes a batch of jobs, runs it through the steps, and settles everything in one transaction.

Completed inputs, outputs and what the steps remember are one `settle`: whenever the process dies, either all of it
has happened or nothing (P9). A mark in the state fences it: only the runner that wrote the mark last can settle, so
one that was believed dead changes nothing any more.
Trouble with the hub, a full queue or a look-up without an answer gives the batch back and tries it later; nothing is
counted. A record that a step refuses is dead-lettered alone. If a step breaks on a batch, its records are run one by
one, and only the guilty one fails.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from hubqueue.errors import AnswerLost, HubqueueError, Invalid, QueueFull, StoreError, TimedOut, WrongState
from hubqueue.hub.leasekeeper import LeaseKeeper
from hubqueue.model.backoff import ExponentialBackoff
from hubqueue.model.job import Leased
from hubqueue.model.outcome import Blob, Complete, Fail, Outcome, Reject, Release, Settlement
from hubqueue.model.verbs import Renewal, Verbs
from hubqueue.pipeline.delivery import Delivery, decoded
from hubqueue.pipeline.plan import FromQueue, Pipeline
from hubqueue.pipeline.record import Record, Refused
from hubqueue.pipeline.state import PipelineState
from hubqueue.pipeline.status import PipelineStatus
from hubqueue.pipeline.step import CLOSED, Shaped
from hubqueue.system import SYSTEM

LEASE_MS: Final = 60_000
TURN_S: Final = 0.002  # others in the process have their turn after so much work
POLL_MS: Final = 10_000  # one long-poll on an empty queue
JUMP_MS: Final = 2000
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0
LOOK_S: Final = 10.0  # between two looks for somebody else on the queue
MARK: Final = "run"

log = logging.getLogger(__name__)


class Runner:
    """One pipeline on a queue of `hub`: `run` until `stop`."""

    def __init__(self, hub: Verbs, pipeline: Pipeline, now_ms: Callable[[], int]) -> None:
        assert isinstance(pipeline.source, FromQueue)
        self.pipeline: Final = pipeline
        self.status: Final = PipelineStatus()
        self._hub: Final = hub
        self._queue: Final = pipeline.source.queue
        self._now_ms: Final = now_ms
        self._chain: Final = pipeline.chain()
        self._states: Final = PipelineState(pipeline.name, self._chain.names)
        self._delivery: Final = Delivery(pipeline.to)
        self._keeper: Final = LeaseKeeper(hub, self._queue, pipeline.owner, LEASE_MS, SYSTEM)
        self._mark: Blob | None = None
        self._backoff: Final = ExponentialBackoff(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        self._share = 1  # of a batch: less while a full queue has room for a part of its results only
        self._clock = (now_ms(), time.monotonic())
        self._jumped_ms = 0  # by which the steps have still to be shifted
        self._shifted_ms = 0  # by which they were, and which is not stored yet
        self._looked_at = time.monotonic()
        self._seen = False
        self._stopping = asyncio.Event()
        self._polling: asyncio.Task[list[Leased]] | None = None

    async def run(self) -> None:
        """Work until `stop`, whatever happens to the hub."""
        self._keeper.start()
        try:
            while not self._stopping.is_set():
                try:
                    if self._mark is None:
                        await self._take_over()
                    await self._turn()
                except HubqueueError as error:
                    await self._rest(error.message, error.code)
                except Exception as error:  # a defect of a step, in closing: its records stay as they are
                    log.exception("a pipeline failed and goes on pipeline=%s", self.pipeline.name)
                    await self._rest(f"{type(error).__name__}: {error}", "defect")
        finally:
            await self._keeper.give_back()
            await self._keeper.close()
            await self._chain.aclose()

    def stop(self) -> None:
        """Take no more jobs; the batch in work is settled, then `run` ends."""
        self._stopping.set()
        if self._polling is not None:
            self._polling.cancel()

    async def _take_over(self) -> None:
        """Know what is stored, and let no other runner of this pipeline store anything more."""
        if not self._keeper.count:
            await self._keeper.reclaim()
        mark = Blob(self._states.namespace, MARK, secrets.token_bytes(12))
        await self._hub.settle([], blobs=[mark])
        await self._states.load(self._hub)
        self._mark = mark
        try:
            await self._hand_over()
        except BaseException:
            self._mark = None
            raise

    async def _hand_over(self) -> None:
        """A step whose settings have become others gives what it has gathered, as it stands, and begins anew."""
        namespace = self._states.namespace
        shapes = {key: value.decode() for key, value in await self._hub.blobs(namespace) if key != MARK}
        for place in self._chain.places:
            shape = place.step.shape if isinstance(place.step, Shaped) else ""
            former = shapes.get(place.name, "")
            if former == shape:
                continue
            given = 0
            while True:
                limit = max(1, CLOSED // self._share)
                ended = await self._chain.hand_over(place.name, former, self._states, self._unfit, limit)
                if ended is None:
                    break
                self._deliver(ended, self._now_ms())
                await self._settle([], self._states.changes())
                given += len(ended)
            await self._settle([], [*self._states.changes(), Blob(namespace, place.name, shape.encode())])
            if given:
                told = (self.pipeline.name, place.name, given)
                log.info("a step has other settings, what it had goes out pipeline=%s step=%s results=%d", *told)

    async def _turn(self) -> None:
        """One batch, or what is due when nothing comes."""
        self._follow_clock()
        asked_ms = self._now_ms()
        due_ms = self._chain.due_ms(self._states)
        wait_ms = POLL_MS if due_ms is None else min(POLL_MS, max(0, due_ms - asked_ms))
        count = max(1, self.pipeline.batch // self._share)
        jobs = await self._take(count, wait_ms)
        if jobs is None:
            return
        waiting = len(jobs) == count
        if jobs:
            await self._batch(jobs, asked_ms + self._follow_clock(), waiting=waiting)
            await self._look_around(len(jobs))
        while not waiting and self._is_due():
            await self._work([], self._clock[0], waiting=False)
        for late in self._chain.late:
            late.tell(self.pipeline.name, time.monotonic())
        self._backoff.reset()
        self._share = 1
        self.status.trouble = None

    async def _take(self, count: int, wait_ms: int) -> list[Leased] | None:
        """None when the runner is stopped meanwhile: what the hub was about to give goes back by itself."""
        self._polling = asyncio.ensure_future(self._keeper.take(count, wait_ms))
        try:
            return await self._polling
        except asyncio.CancelledError:
            if not self._stopping.is_set():
                raise
            return None
        finally:
            self._polling = None

    async def _batch(self, jobs: list[Leased], now_ms: int, *, waiting: bool) -> None:
        try:
            await self._work(jobs, now_ms, waiting=waiting)
        except Exception as error:
            if isinstance(error, HubqueueError) and not isinstance(error, Invalid):
                self._worry(error.message, error.code)
                await self._give_back(jobs)
                raise
            self._undo()  # a defect of a step, or data it was never made for
            if len(jobs) == 1:
                await self._fail(jobs[0], error)
                return
            log.warning("a step failed, the batch is run one by one pipeline=%s", self.pipeline.name)
            for number, job in enumerate(jobs):
                try:
                    await self._batch([job], now_ms, waiting=True)
                except HubqueueError:
                    await self._keeper.release(jobs[number + 1 :])
                    raise

    async def _work(self, jobs: Sequence[Leased], now_ms: int, *, waiting: bool) -> None:
        """Run these, close what is due, settle all of it. Errors: then nothing of it has happened."""
        self._shift()
        records: list[Record] = []
        outcomes: dict[str, Outcome] = {}
        for leased in jobs:
            job = leased.job
            try:
                records.append(Record(decoded(job.data), job.name, job.created_at_ms, job.id))
            except Refused as refused:
                outcomes[job.id] = Reject(str(refused))
        await self._chain.prepare(records, self._states)
        jobs = self._still_ours(jobs, outcomes)
        turn = time.perf_counter()
        worked = 0.0
        for record in records:
            if record.id in outcomes:
                continue
            outcomes[record.id] = self._run(record, now_ms)
            now = time.perf_counter()
            if now - turn > TURN_S:
                worked += now - turn
                await asyncio.sleep(0)
                turn = time.perf_counter()
        limit = max(1, (CLOSED + len(jobs)) // self._share)  # more than these jobs can open
        closed = await self._chain.close(now_ms, self._states, self._unfit, waiting=waiting, limit=limit)
        self._deliver(closed, now_ms)
        settlements = [Settlement(each.job.id, each.token, outcomes[each.job.id]) for each in jobs]
        blobs = self._states.changes()
        worked += time.perf_counter() - turn
        await self._settle(settlements, blobs)
        status = self.status
        status.refused += sum(isinstance(end.outcome, Reject) for end in settlements)
        status.taken += len(jobs)
        status.batches += 1
        status.busy_us += int(worked * 1e6)
        if jobs:
            status.lag_ms = max(0, self._now_ms() - jobs[-1].job.created_at_ms)

    def _still_ours(self, jobs: Sequence[Leased], outcomes: dict[str, Outcome]) -> list[Leased]:
        """Those whose leases were not lost over the look-ups; what was cancelled goes back, for the hub to end it."""
        ours = []
        for leased in jobs:
            standing = self._keeper.standing(leased)
            if standing is not Renewal.RENEWED:
                outcomes[leased.job.id] = Release()
            if standing is Renewal.LOST:
                self._keeper.drop(leased)
            else:
                ours.append(leased)
        return ours

    def _run(self, record: Record, now_ms: int) -> Outcome:
        try:
            self._delivery.add(self._chain.run(record, self._states, self._unfit), now_ms)
        except Refused as refused:
            return Reject(str(refused))
        return Complete()

    def _deliver(self, records: Sequence[Record], now_ms: int) -> None:
        """Results that no single input made."""
        for record in records:
            try:
                self._delivery.add([record], now_ms)
            except Refused as refused:
                self._unfit(record, refused)

    def _unfit(self, record: Record, refused: Refused) -> None:
        """A record that no single input made: it is counted and told, there is nothing to dead-letter."""
        self.status.lost += 1
        log.warning("a result was refused: %s pipeline=%s record=%s", refused, self.pipeline.name, record.id)

    async def _settle(self, settlements: Sequence[Settlement], blobs: Sequence[Blob]) -> None:
        assert self._mark is not None
        delivery = self._delivery
        if not (settlements or blobs or delivery.jobs):
            return
        try:
            await self._hub.settle(settlements, outputs=delivery.jobs, blobs=blobs, expects=[self._mark])
        except (AnswerLost, StoreError, TimedOut):
            self._mark = None  # it may have been done: what is stored says it
            raise
        except QueueFull:
            self._share = min(CLOSED, self._share * 2)
            raise
        except WrongState:
            self._mark = None
            log.warning("another process runs this pipeline, it is taken over again pipeline=%s", self.pipeline.name)
            raise
        self._keeper.settled(settlements)
        self._states.kept()
        for late in self._chain.late:
            late.settle()
        self._shifted_ms = 0
        messages, given = delivery.messages, len(delivery.jobs)
        delivery.clear()
        self.status.given += given + len(messages)
        for channel, data in messages:
            try:
                await self._hub.publish(channel, data)
            except HubqueueError as error:  # best effort, as documented
                log.info("channel not told channel=%s code=%s", channel, error.code)

    async def _give_back(self, jobs: Sequence[Leased]) -> None:
        """Nothing happened, or all of it did and this changes nothing: everything as it was, and the jobs go back."""
        self._undo()
        self.status.released += len(jobs)
        await self._keeper.release(jobs)

    async def _fail(self, leased: Leased, error: Exception) -> None:
        self.status.failed += 1
        log.warning("a step failed: %r pipeline=%s job=%s", error, self.pipeline.name, leased.job.id)
        stack = tuple(traceback.format_exception(error))
        outcome = Fail(f"{type(error).__name__}: {error}", stack=stack)
        try:
            await self._settle([Settlement(leased.job.id, leased.token, outcome)], [])
        except HubqueueError:
            await self._give_back([leased])
            raise

    def _undo(self) -> None:
        self._states.undo()
        for late in self._chain.late:
            late.undo()
        self._delivery.clear()
        self._jumped_ms += self._shifted_ms
        self._shifted_ms = 0

    async def _rest(self, why: str, code: str) -> None:
        """Wait before the next try, longer each time."""
        self._undo()
        self._worry(why, code)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), self._backoff.next_s())

    def _worry(self, why: str, code: str) -> None:
        if self.status.trouble != why:
            log.warning("a pipeline waits: %s pipeline=%s code=%s", why, self.pipeline.name, code)
        self.status.trouble = why

    def _is_due(self) -> bool:
        """Whether time has something to close; a clock that was set meanwhile has not."""
        self._follow_clock()
        due_ms = self._chain.due_ms(self._states)
        return due_ms is not None and due_ms <= self._clock[0]

    def _follow_clock(self) -> int:
        """Tell the steps when the hub's clock has been set; by how much since the last look."""
        now = (self._now_ms(), time.monotonic())
        jump_ms = round(now[0] - self._clock[0] - (now[1] - self._clock[1]) * 1000)
        self._clock = now
        if abs(jump_ms) > JUMP_MS:
            log.info("the clock has jumped, open windows wait on pipeline=%s by_ms=%d", self.pipeline.name, jump_ms)
        else:
            jump_ms = 0
        self._jumped_ms += jump_ms
        self._shift()
        return jump_ms

    def _shift(self) -> None:
        """Let the steps know of jumps of which they do not know."""
        if self._jumped_ms:
            self._chain.shift(self._jumped_ms, self._states)
            self._shifted_ms += self._jumped_ms
            self._jumped_ms = 0

    async def _look_around(self, ours: int) -> None:
        """Warn of somebody else who takes from this queue: windows would miss what they get."""
        if time.monotonic() - self._looked_at < LOOK_S:
            return
        self._looked_at = time.monotonic()
        before, self._seen = self._seen, (await self._hub.counts(self._queue)).active > self._keeper.count
        shared = before and self._seen  # once may be a lease of a connection that has just broken
        if shared and not self.status.shared:
            log.warning(
                "somebody else takes jobs from this queue too, the pipeline misses them pipeline=%s queue=%s",
                self.pipeline.name,
                self._queue,
            )
        self.status.shared = shared

    def shown(self) -> PipelineStatus:
        """A copy of the status, complete."""
        late = sum(late.count for late in self._chain.late)
        return msgspec.structs.replace(self.status, late=late, open=self._chain.open_count(self._states))
