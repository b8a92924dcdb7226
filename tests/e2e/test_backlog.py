"""P7 and P8: a million jobs waiting cost no memory, no work at the start, and none at each new job."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from support.child import Puppet, puppet
from support.torture import sized

JOBS: Final = sized(ci=200_000, full=1_000_000)
FEW: Final = 1000
BATCH: Final = 5000
ENQUEUES: Final = 500  # whose work is counted
MEMORY_BYTES: Final = 60 * 1024 * 1024
BACKLOG_BYTES: Final = 4 * 1024 * 1024  # of memory for all jobs after a restart: 20 bytes for each would be more
START_BYTES: Final = 24 * 1024 * 1024  # read at the start: the log, which is bounded, and not the file


async def _fill(told: Puppet, count: int) -> None:
    for first in range(0, count, BATCH):
        await told("enqueue", list(range(first, min(first + BATCH, count))), False, 60)


@pytest.mark.slow
async def test_a_million_jobs_cost_no_memory_no_start_and_no_work(tmp_path: Path) -> None:
    async with puppet(tmp_path / "small.db") as small, puppet(tmp_path / "hub.db") as told:
        await _fill(small, FEW)
        await _fill(told, FEW)
        few_bytes, _ = await told("memory_bytes")
        await _fill(told, JOBS)
        small_steps, large_steps = await small("steps", ENQUEUES), await told("steps", ENQUEUES)
        large_bytes, peak_bytes = await told("memory_bytes")
        told.child.kill()
        await told.child.ended()
    size_bytes = (tmp_path / "hub.db").stat().st_size
    async with puppet(tmp_path / "hub.db") as told:
        ((number, _, _),) = await told("lease", 1, 30_000)
        assert number == 0
        start_bytes = await told("read_bytes")
        reopened_bytes, _ = await told("memory_bytes")
        assert await told("miscounted") == []
    print(
        f"steps of an enqueue {small_steps / ENQUEUES:.0f} at {FEW} waiting, {large_steps / ENQUEUES:.0f} at {JOBS}; "
        f"resident {few_bytes / 2**20:.1f} MB at {FEW}, {large_bytes / 2**20:.1f} MB (highest "
        f"{peak_bytes / 2**20:.1f} MB) at {JOBS}, {reopened_bytes / 2**20:.1f} MB after the restart; read up to the "
        f"first lease {start_bytes / 2**20:.1f} of {size_bytes / 2**20:.1f} MB"
    )
    assert max(large_bytes, peak_bytes) < MEMORY_BYTES
    assert reopened_bytes - few_bytes < BACKLOG_BYTES
    assert start_bytes < START_BYTES < size_bytes
    assert large_steps <= small_steps * 1.1
