"""Rule 16, the size cap: new jobs are refused, or the oldest dropped and counted; nothing else is lost."""

from __future__ import annotations

from pathlib import Path

from hubqueue.client.local import LocalHub
from hubqueue.errors import QueueFull
from hubqueue.hub.settings import HubSettings
from hubqueue.model.job import NewJob
from hubqueue.model.state import State
from hubqueue.model.verbs import Event
from hubqueue.store.tx import Tx
from support.waiting import in_time, until

CAP = 64 * 1024 * 1024
JOB = NewJob(data=b"\xc5\x27\x10" + bytes(10_000))


async def _fill(hub: LocalHub) -> int:
    """Enqueue until the hub refuses; how many it took."""
    taken = 0
    async with in_time():
        while True:
            try:
                await hub.enqueue("q", [JOB] * 100)
            except QueueFull:
                return taken
            taken += 100


async def test_beyond_its_size_a_hub_refuses_new_jobs_until_there_is_room(tmp_path: Path) -> None:
    async with await LocalHub.open(tmp_path / "hub.db", HubSettings(max_bytes=CAP)) as hub:
        taken = await _fill(hub)
        counts = await hub.counts("q")
        assert counts.waiting == taken
        await hub.drain("q")
        await until(lambda: not hub.over_cap)
        await hub.enqueue("q", [JOB])


async def test_beyond_its_size_a_hub_told_so_drops_the_oldest_and_counts_them(tmp_path: Path) -> None:
    events: list[Event] = []
    async with await LocalHub.open(tmp_path / "hub.db", HubSettings(max_bytes=CAP, on_full="drop-oldest")) as hub:
        await hub.subscribe("q", events.append)
        first = (await hub.enqueue("q", [JOB]))[0]
        taken, refused, largest_bytes = 1, 0, 0
        async with in_time():
            while taken < 30_000:  # 300 MB
                try:
                    await hub.enqueue("q", [JOB] * 100)
                except QueueFull:
                    refused += 1
                else:
                    taken += 100
                largest_bytes = max(largest_bytes, hub.store.used_bytes())
        await until(lambda: hub.store.used_bytes() <= CAP)  # maintenance does the last of it
        oldest, waiting, dropped = await hub.run(lambda tx: _moment(tx, hub))
        evicted = [event.job_id for event in events if event.kind == "evicted"]
        assert evicted[0] == first
        assert waiting == taken - dropped > 1000
        assert oldest == int(first.rpartition("-")[2]) + dropped
        assert len(evicted) >= dropped
        assert largest_bytes <= CAP + 16 * 1024 * 1024  # the log grows in steps
        assert refused == 0


def _moment(tx: Tx, hub: LocalHub) -> tuple[int, int, int]:
    """(oldest seq, jobs waiting, jobs dropped so far), while maintenance may still be dropping."""
    (oldest,) = tx.execute("SELECT min(seq) FROM job").fetchone()
    return oldest, hub.store.queues.by_name["q"].n[State.WAITING], hub.store.evicted + tx.evicted
