"""Rule 6: the log stays bounded under full load, and nobody waits on the loop for a slow disk."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from support.child import Child
from support.disk import shim
from support.torture import sized

SECONDS = sized(ci=15.0, full=60.0)
HARD_BYTES = 64 * 1024 * 1024
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
