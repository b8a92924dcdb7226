"""What leaves the hub is on its disk (engine-rules 55): a log that the test holds, and how many syncs that costs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from hubqueue.forward.forwarder import Forwarder
from hubqueue.forward.settings import ForwardSettings
from hubqueue.forward.sink import Batch
from hubqueue.forward.status import Forwarded
from hubqueue.forward.verdict import Rejected
from hubqueue.hub.hub import Hub
from hubqueue.model.job import NewJob
from support.waiting import until

QUEUE = "readings"


class Log:
    """The syncs of a hub's log, held while `held` is set; `begun` counts them."""

    def __init__(self, hub: Hub) -> None:
        self.begun = 0
        self.fails = False
        self._free = threading.Event()
        self._free.set()
        self._sync = hub.store._wal.sync
        hub.store._wal.sync = self._held_sync  # type: ignore[method-assign]

    def hold(self) -> None:
        self._free.clear()

    def let_go(self) -> None:
        self._free.set()

    def _held_sync(self) -> None:
        self.begun += 1
        self._free.wait(60)
        if self.fails:
            raise OSError(5, "Input/output error")
        self._sync()


class Taking:
    """A sink that takes everything."""

    wants_floor = False
    target = "test://there"

    def __init__(self) -> None:
        self.taken: list[int] = []

    async def connect(self) -> None: ...

    async def write(self, batch: Batch) -> list[Rejected | None]:
        self.taken += [msgspec.msgpack.decode(parcel.data or b"") for parcel in batch.parcels]
        return [None] * len(batch.parcels)

    async def lost(self) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None: ...


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with await Hub.open(tmp_path / "edge.db") as hub:
        yield hub


@pytest.fixture
def log(hub: Hub) -> Iterator[Log]:
    log = Log(hub)
    yield log
    log.fails = False
    log.let_go()


async def add(hub: Hub, *numbers: int, durable: bool = False) -> None:
    jobs = [NewJob(data=msgspec.msgpack.encode(number)) for number in numbers]
    await hub.enqueue(QUEUE, jobs, durable=durable)


def forwarder(hub: Hub, sink: Taking, **keys: int) -> Forwarder:
    return Forwarder(hub, QUEUE, sink, ForwardSettings(**keys), hub_id_of=hub.hub_id_of)


async def test_a_job_leaves_only_when_it_is_on_the_disk(hub: Hub, log: Log) -> None:
    sink = Taking()
    async with forwarder(hub, sink) as there:
        log.hold()
        await add(hub, 1)
        await until(lambda: log.begun == 1)  # the forwarder waits for it
        assert (await there.status()).in_flight == 1
        await add(hub, 2)  # behind the sync that runs
        assert sink.taken == []
        log.let_go()
        await until(lambda: sink.taken == [1, 2])


async def test_a_sync_that_runs_does_not_cover_what_comes_after_it_began(hub: Hub, log: Log) -> None:
    log.hold()
    await add(hub, 1)
    first = hub.sync()
    await until(lambda: log.begun == 1)
    await add(hub, 2)
    waiting = asyncio.ensure_future(hub.on_disk((await hub.list_jobs(QUEUE)).jobs[-1].seq))
    log.let_go()
    await first
    await waiting
    assert log.begun == 2


async def test_what_was_durable_waits_for_no_sync(hub: Hub, log: Log) -> None:
    await add(hub, *range(10), durable=True)
    log.hold()
    sink = Taking()
    async with forwarder(hub, sink):
        await until(lambda: len(sink.taken) == 10)
    log.let_go()


async def test_a_backlog_costs_no_sync_of_its_own(hub: Hub, log: Log) -> None:
    for start in range(0, 5000, 500):
        await add(hub, *range(start, start + 500))
    await hub.sync()
    before, told = log.begun, 0
    sink = Taking()
    there = forwarder(hub, sink, batch=50)

    def count(event: object) -> None:
        nonlocal told
        told += isinstance(event, Forwarded)

    there.listen(count)
    waited = hub.store._syncer._horizon._left
    async with there:
        await until(lambda: len(sink.taken) == 5000)
    assert told == 100
    assert hub.store._syncer._horizon._left == waited
    assert log.begun - before < 100  # those of every second, on whatever machine


async def test_a_stream_brings_few_syncs_forward(hub: Hub, log: Log) -> None:
    """As many as are at once, and then no more than the bound in each second, however many batches go."""
    now_s, horizon = 1000.0, hub.store._syncer._horizon
    assert sum(horizon.may_hurry(now_s) for _ in range(1000)) == 20
    assert sum(horizon.may_hurry(now_s + each / 100) for each in range(1, 1001)) == 40


async def test_a_log_that_cannot_be_synced_lets_nothing_out(
    hub: Hub, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    sink = Taking()
    log.fails = True
    async with forwarder(hub, sink):
        await add(hub, 1)
        await until(lambda: "the local hub has trouble" in caplog.text)
        assert sink.taken == []
        log.fails = False
        await until(lambda: sink.taken == [1])  # the store has repaired itself
