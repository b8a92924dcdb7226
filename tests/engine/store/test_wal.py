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

SECONDS = sized(ci=15.0, full=60.0)
HARD_BYTES = 64 * 1024 * 1024
JOB = NewJob(data=b"\xc5\x27\x10" + bytes(10_000))
DELAY_MS = 30  # of every fsync and fdatasync


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 60)
async def test_the_log_stays_bounded_and_the_loop_quick_under_full_load_on_a_slow_disk(tmp_path: Path) -> None:
    log = tmp_path / "hub.db-wal"
    largest_bytes = 0
    async with Child("support.flood", tmp_path / "hub.db", SECONDS, env=shim(tmp_path, delay_ms=DELAY_MS)) as child:
        hearing = asyncio.create_task(child.hear(SECONDS + 30))
        while not hearing.done():
            if log.exists():
                largest_bytes = max(largest_bytes, log.stat().st_size)
            await asyncio.wait([hearing], timeout=0.02)
        did = hearing.result()
    print(f"log at most {largest_bytes / 2**20:.1f} MiB; {did}")
    assert did["enqueued"] > SECONDS * 5000
    assert did["completed"] > SECONDS * 2000
    assert 4 * 1024 * 1024 < largest_bytes <= HARD_BYTES
    assert did["lag_ms"]["p99"] < 20


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
