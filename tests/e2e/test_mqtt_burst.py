"""2,000 devices come back at once and flood QoS 1 messages through a real Mosquitto (P2, P8).

Every message becomes a job, the hub stays small, and the jobs of another queue hardly wait for them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from support.burst import burst, stage, stored
from support.torture import sized

DEVICES, EACH = 2000, sized(ci=30, full=100)
MEMORY_MB = 150
OVERTAKEN = DEVICES * EACH // 4  # messages stored while a job of another queue waits, and its client for a processor


@pytest.mark.slow
@pytest.mark.timeout(sized(ci=900, full=3000))
async def test_p2_a_burst_of_2000_devices_loses_nothing_and_hardly_delays_other_jobs(tmp_path: Path) -> None:
    async with stage(tmp_path, DEVICES) as (broker, hub):
        course = await burst(broker, hub, DEVICES, EACH)
        hub.stop()
        assert "ERROR" not in hub.log()
    print(course)
    ids = stored(tmp_path / "hub.db")
    assert [id for id in range(DEVICES * EACH) if id not in ids] == []
    assert len(ids) == DEVICES * EACH
    assert course.hub_peak_mb < MEMORY_MB, course
    assert course.p99_overtaken < OVERTAKEN, course
