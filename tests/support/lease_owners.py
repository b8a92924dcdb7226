"""The four that lease jobs: a worker, a pipeline, a forwarder and `take()`, each with its jobs under way until told.

All take from queue "work" over any Verbs. Leaving the block is a stop that does not wait: what is under way then is to
be given back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from hubqueue.api.batch import Batch
from hubqueue.errors import HubqueueError
from hubqueue.forward import sink as forward
from hubqueue.forward.forwarder import Forwarder
from hubqueue.forward.settings import ForwardSettings
from hubqueue.model.job import Leased
from hubqueue.model.outcome import Outcome, Settlement
from hubqueue.model.verbs import Renewal, Verbs
from hubqueue.pipeline.plan import FromQueue, Pipeline, StepPlan
from hubqueue.pipeline.record import Record
from hubqueue.pipeline.runner import Runner
from hubqueue.pipeline.step import State
from hubqueue.work.running import RunningJob
from hubqueue.work.worker import Worker

QUEUE: Final = "work"


class UnderWay:
    """Jobs that an owner works on: how many have begun, and when they may go on."""

    def __init__(self) -> None:
        self.begun = 0
        self.go = asyncio.Event()

    async def hold(self, count: int) -> None:
        self.begun += count
        await self.go.wait()


class Heard:
    """What an owner asks of its hub, and what the hub says. trouble: raised by the next settles instead."""

    def __init__(self, verbs: Verbs, patch: pytest.MonkeyPatch) -> None:
        self.leased: list[Leased] = []
        self.renewals: dict[str, list[Renewal]] = {}
        self.settled: list[tuple[str, type[Outcome]]] = []
        self.trouble: list[HubqueueError] = []
        lease, extend, settle = verbs.lease, verbs.extend, verbs.settle

        async def heard_lease(*args: object, **more: object) -> list[Leased]:
            found = await lease(*args, **more)  # type: ignore[arg-type]
            self.leased += found
            return found

        async def heard_extend(leases: Sequence[tuple[str, str]], lease_ms: int | None = None) -> list[Renewal]:
            said = await extend(leases, lease_ms)
            for (id, _), renewal in zip(leases, said, strict=True):
                self.renewals.setdefault(id, []).append(renewal)
            return said

        async def heard_settle(settlements: Sequence[Settlement], **more: object) -> list[str]:
            if settlements and self.trouble:
                raise self.trouble.pop()
            self.settled += [(each.id, type(each.outcome)) for each in settlements]
            return await settle(settlements, **more)  # type: ignore[arg-type]

        patch.setattr(verbs, "lease", heard_lease)
        patch.setattr(verbs, "extend", heard_extend)
        patch.setattr(verbs, "settle", heard_settle)

    def said(self, id: str, renewal: Renewal) -> Callable[[], bool]:
        """Whether a renewal of this job has been answered so."""
        return lambda: renewal in self.renewals.get(id, ())


@asynccontextmanager
async def worker(verbs: Verbs, under_way: UnderWay, lease_ms: int) -> AsyncIterator[None]:
    async def handler(job: RunningJob) -> None:
        await under_way.hold(1)

    async with Worker(verbs, QUEUE, handler, concurrency=10, lease_ms=lease_ms, grace_s=0):
        yield


@asynccontextmanager
async def batch(verbs: Verbs, under_way: UnderWay, lease_ms: int) -> AsyncIterator[None]:
    async def taking() -> None:
        async with Batch(verbs, QUEUE, 10, wait_ms=60_000, lease_ms=lease_ms) as taken:
            await under_way.hold(len(taken))

    task = asyncio.create_task(taking())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class HoldingSink:
    """Takes everything, once it may."""

    target: Final = "test://sink"
    wants_floor: Final = False

    def __init__(self, under_way: UnderWay) -> None:
        self._under_way = under_way

    async def connect(self) -> None: ...

    async def close(self) -> None: ...

    async def lost(self) -> None:
        await asyncio.Event().wait()

    async def write(self, batch: forward.Batch) -> list[forward.Result]:
        await self._under_way.hold(len(batch.parcels))
        return [None] * len(batch.parcels)


@asynccontextmanager
async def forwarder(verbs: Verbs, under_way: UnderWay, lease_ms: int) -> AsyncIterator[None]:
    settings = ForwardSettings(lease_ms=lease_ms, stop_grace_s=0)
    async with Forwarder(verbs, QUEUE, HoldingSink(under_way), settings, hub_id_of=lambda seq: "here"):
        yield


class HoldingStep:
    """A look-up that answers once it may."""

    def __init__(self, under_way: UnderWay) -> None:
        self._under_way = under_way

    async def prepare(self, records: Sequence[Record]) -> None:
        await self._under_way.hold(len(records))

    async def aclose(self) -> None: ...

    def run(self, record: Record, state: State) -> Iterable[Record]:
        return (record,)


@asynccontextmanager
async def pipeline(verbs: Verbs, under_way: UnderWay, lease_ms: int) -> AsyncIterator[None]:
    plan = Pipeline(
        name="p",
        file=Path("p.yaml"),
        source=FromQueue(QUEUE),
        steps=(StepPlan("own", lambda: HoldingStep(under_way)),),
        to=(),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hubqueue.pipeline.runner.LEASE_MS", lease_ms)
        runner = Runner(verbs, plan, lambda: 0)
        task = asyncio.create_task(runner.run())
        try:
            yield
        finally:
            runner.stop()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


LeaseOwner = Callable[[Verbs, UnderWay, int], AbstractAsyncContextManager[None]]
OWNERS: Final[dict[str, LeaseOwner]] = {
    "worker": worker,
    "pipeline": pipeline,
    "forwarder": forwarder,
    "batch": batch,
}
