"""Messages in = jobs out: MQTT bursts through a hub that is slowed down, stopped and killed, on overlapping rules.

None is lost. None is doubled by a clean stop or by being slow; by a kill only what nobody can tell: messages whose
acknowledgement was under way (docs/mqtt.md). They are no more than may be open at once, and the test says how many.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from support.mosquitto import VERSIONS, Mosquitto
from support.ordeal import ROUNDS, BridgeProcess, numbers, undergo
from support.torture import sized

EACH = sized(ci=1500, full=150_000)  # of a burst
MAXIMUM = sized(ci=100, full=2000)  # the same limits are met
PART = 50_000  # mosquitto_pub leaves when it hears the last packet id, which it has used before beyond 65,535
LINES = ("max_queued_messages 0", f"max_inflight_messages {MAXIMUM}", "log_type error")


@pytest.mark.slow
@pytest.mark.timeout(sized(ci=1800, full=36_000))
@pytest.mark.parametrize("version", ["5", "3.1.1"])
@pytest.mark.parametrize("mosquitto", VERSIONS)
async def test_every_message_is_one_job_for_each_rule(tmp_path: Path, mosquitto: str, version: str) -> None:
    file = tmp_path / "hub.db"
    async with Mosquitto(tmp_path, mosquitto, lines=LINES) as broker:

        async def send(first: int, count: int) -> None:
            for start in range(first, first + count, PART):
                part = range(start, min(start + PART, first + count))
                command = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(broker.port), "-q", "1", "-t", "s/a/t", "-l"]
                process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE)
                await process.communicate("".join(f"{number}\n" for number in part).encode())
                assert process.returncode == 0

        hub = BridgeProcess(file, broker.port, "overlapping", f"version={version}", f"maximum={MAXIMUM}")
        hub.start()
        try:
            sent = await undergo(hub, file, ("one", "two"), send, EACH)
            assert hub.stop() == 0
        finally:
            hub.kill()
    kills = sum(end == "kill" for _, end in ROUNDS)
    for queue in ("one", "two"):
        found = numbers(file, queue)
        assert set(found) == set(range(sent))
        twice = sum(found.values()) - sent
        print(f"{queue}: {twice} of {sent} messages became a second job over {kills} kills")
        assert max(found.values()) <= 1 + kills
        assert twice <= kills * MAXIMUM
        for burst, (_, end) in enumerate(ROUNDS):
            if end == "stop":
                assert all(found[number] == 1 for number in range(burst * EACH, (burst + 1) * EACH))
