"""Rule 6: the log stays bounded under full load, and nobody waits on the loop for a slow disk."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from hubqueue.hub.hub import Hub
from hubqueue.model.job import NewJob
from hubqueue.store.file import KEPT_LOG_BYTES
from support.child import Child
from support.disk import shim
from support.torture import sized
from support.waiting import in_time

JOBS = sized(ci=60_000, full=1_000_000)
HARD_BYTES = 64 * 1024 * 1024
JOB = NewJob(data=b"\xc5\x27\x10" + bytes(10_000))
DELAY_MS = 30  # of every fsync and fdatasync


@pytest.mark.slow
async def test_the_log_stays_bounded_under_full_load_on_a_slow_disk_that_the_loop_never_waits_for(
    tmp_path: Path,
) -> None:
    log, waited = tmp_path / "hub.db-wal", tmp_path / "waited"
    slow = shim(tmp_path, delay_ms=DELAY_MS, waited=waited)
    largest_bytes = 0
    async with Child("support.flood", tmp_path / "hub.db", JOBS, env=slow) as child:
        assert await child.hear() == "open"
        before = waited.stat().st_size
        hearing = asyncio.create_task(child.hear(60 + JOBS / 500))
        while not hearing.done():
            largest_bytes = max(largest_bytes, log.stat().st_size)
            await asyncio.wait([hearing], timeout=0.02)
        assert hearing.result() == "done"
        syncs_of_the_loop = waited.stat().st_size - before
        did = await child.hear()
        child.say("")
        assert await child.ended() == 0
    print(f"log at most {largest_bytes / 2**20:.1f} MiB; {did}")
    assert did["enqueued"] >= JOBS
    assert did["completed"] > JOBS / 4
    assert 4 * 1024 * 1024 < largest_bytes <= HARD_BYTES
    assert syncs_of_the_loop == 0


async def test_a_log_that_grew_while_somebody_was_reading_is_cut_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    log = tmp_path / "hub.db-wal"
    async with await Hub.open(path) as hub:
        await hub.enqueue("q", [JOB])
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM job").fetchone() == (1,)
        while log.stat().st_size < 2 * KEPT_LOG_BYTES:  # nothing of it can be overwritten yet
            await hub.enqueue("q", [JOB] * 50)
        assert reader.execute("SELECT count(*) FROM job").fetchone() == (1,)
        reader.close()
        async with in_time():
            while log.stat().st_size > KEPT_LOG_BYTES:
                await hub.enqueue("q", [JOB] * 50)
