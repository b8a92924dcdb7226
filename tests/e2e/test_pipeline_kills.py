"""P9 from outside: windows of a hub that is killed again and again hold every reading once, and none is doubled."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.hub_process import HubProcess
from support.torture import sized
from support.waiting import until
from support.wire import WireClient

DEVICES = 1000
STEP_MS = 6000  # of the readings' own time from one batch to the next
EVERY_MS = 60_000
START_MS = 1_790_000_000_000 - 1_790_000_000_000 % EVERY_MS
LONG_S = sized(ci=300.0, full=6000.0)
KILLS = sized(ci=10, full=200)
PROCESS_KILLS = sized(ci=5, full=50)

CONFIG = """
data_path: hub.db
http: {enabled: false}
pipelines: [windows.yaml]
"""
PIPELINE = """
name: windows
from: {queue: readings}
process: %s
steps:
  - filter: data.value is number
  - map: {compute: {value: "data.value * 2"}}
  - window: {every: 60s, by: [device], time: at, lateness: 4m, late: dead-letter, values: {value: [sum, p50]}}
to: {queue: windows}
"""


class Readings:
    """So many batches, each with one reading of each device, and one more that ends the last windows."""

    def __init__(self, batches: int) -> None:
        self.batches = batches

    def batch(self, number: int) -> list[dict[str, Any]]:
        source = random.Random(number)
        at_ms = START_MS + number * STEP_MS + (3_600_000 if number == self.batches else 0)
        return [
            {"device": device, "at": at_ms + source.randrange(STEP_MS), "value": source.randrange(1000)}
            for device in range(DEVICES)
        ]

    def windows(self) -> dict[tuple[int, int], tuple[int, int, float]]:
        """Count, sum and median of each window by its device and start, worked out from the readings."""
        found: dict[tuple[int, int], list[int]] = defaultdict(list)
        for number in range(self.batches):
            for reading in self.batch(number):
                found[reading["device"], reading["at"] - reading["at"] % EVERY_MS].append(reading["value"] * 2)
        return {key: (len(values), sum(values), statistics.median(values)) for key, values in found.items()}


class Feeder:
    """Pushes the batches in order, each until it is answered. allowed: how far it may go.

    Its ids are a forwarder's, which the hub remembers: what is pushed twice is there once.
    """

    def __init__(self, readings: Readings) -> None:
        self._readings = readings
        self.port: int | None = None
        self.allowed = 0
        self.sent = 0
        self.resent = 0

    @property
    def done(self) -> bool:
        return self.sent > self._readings.batches

    async def run(self) -> None:
        while not self.done:
            await until(lambda: self.port is not None and self.sent < self.allowed, LONG_S)
            try:
                await self._push(await WireClient.open(self.port or 0))
            except (OSError, EOFError, TimeoutError):
                self.resent += 1
                await asyncio.sleep(0.02)

    async def _push(self, client: WireClient) -> None:
        try:
            while self.sent < self.allowed and not self.done:
                first = self.sent * DEVICES + 1
                jobs = [
                    {"name": "reading", "data": data, "removeOnComplete": True, "customId": id}
                    for data, id in zip(self._readings.batch(self.sent), _ids(first), strict=False)
                ]
                reply = await client.call("PUSHB", queue="readings", jobs=jobs)
                assert reply["ok"], reply
                self.sent += 1
        finally:
            client.abort()


def _ids(first: int) -> Iterator[str]:
    return (f"fwd:0123456789ab:field:{number}" for number in range(first, first + DEVICES))


def folder_of(tmp_path: Path, process: str) -> Path:
    (tmp_path / "hub.yaml").write_text(CONFIG)
    (tmp_path / "windows.yaml").write_text(PIPELINE % process)
    return tmp_path


async def given(port: int, wanted: int) -> list[dict[str, Any]]:
    """All windows, once the pipeline has no more to do."""
    client = await WireClient.open(port)
    try:

        async def finished() -> bool:
            left = (await client.good("GetJobCounts", queue="readings"))["counts"]
            assert left["failed"] == 0, (await client.good("Dlq", queue="readings"))["jobs"][:3]
            made = (await client.good("GetJobCounts", queue="windows"))["counts"]["waiting"]
            return not left["waiting"] and not left["active"] and made >= wanted

        await until(finished, LONG_S)
        found: list[dict[str, Any]] = []
        while jobs := (await client.good("PULLB", queue="windows", owner="test", count=1000))["jobs"]:
            found += [job["data"] for job in jobs]
        return found
    finally:
        await client.close()


def check(found: list[dict[str, Any]], expected: dict[tuple[int, int], tuple[int, int, float]]) -> None:
    keys = Counter((window["device"], window["start_ms"]) for window in found)
    assert [key for key, count in keys.items() if count > 1] == []
    assert set(expected) ^ set(keys) == set()
    wrong = [
        (window, right)
        for window in found
        if (window["count"], window["value_sum"], window["value_p50"])
        != (right := expected[window["device"], window["start_ms"]])
    ]
    assert wrong == []


async def hold(hub: HubProcess, feeder: Feeder, moments: random.Random) -> None:
    """One life of the hub: started, fed, killed at some moment."""
    await asyncio.to_thread(hub.start)
    feeder.port = hub.port
    await asyncio.sleep(moments.uniform(0.0, 0.3))
    feeder.port = None
    await asyncio.to_thread(hub.kill)


@pytest.mark.slow
@pytest.mark.timeout(150 * KILLS)
async def test_p9_windows_hold_every_reading_once_however_often_the_hub_is_killed(tmp_path: Path) -> None:
    kills, readings = KILLS, Readings(KILLS * 4)
    expected = await asyncio.to_thread(readings.windows)
    hub = HubProcess(tmp_path, "--tcp-port", "0", config=folder_of(tmp_path, "hub") / "hub.yaml")
    feeder, moments = Feeder(readings), random.Random(9)
    feeding = asyncio.create_task(feeder.run())
    for kill in range(kills):
        feeder.allowed = readings.batches * (kill + 1) // kills  # so that there is work for every life
        await hold(hub, feeder, moments)
    with hub:
        feeder.port, feeder.allowed = hub.port, readings.batches + 1
        await feeding
        found = await given(hub.port, len(expected))
    check(found, expected)
    assert feeder.resent > 0  # else no kill has hit a push


@pytest.mark.slow
@pytest.mark.timeout(120 * PROCESS_KILLS)
async def test_p9_windows_of_a_process_of_its_own_survive_its_death(tmp_path: Path) -> None:
    kills, readings = PROCESS_KILLS, Readings(PROCESS_KILLS * 6)
    expected = readings.windows()
    moments = random.Random(9)
    with HubProcess(tmp_path, "--tcp-port", "0", config=folder_of(tmp_path, "own") / "hub.yaml") as hub:
        feeder = Feeder(readings)
        feeder.port = hub.port
        feeding = asyncio.create_task(feeder.run())
        for kill in range(kills):
            feeder.allowed = readings.batches * (2 * kill + 1) // (2 * kills)
            await until(lambda wanted=kill: works(hub.port, wanted), LONG_S)
            feeder.allowed = readings.batches * (2 * kill + 2) // (2 * kills)
            await asyncio.sleep(moments.uniform(0.0, 0.4))
            (pid,) = children(hub.pid)
            os.kill(pid, signal.SIGKILL)
        feeder.allowed = readings.batches + 1
        await feeding
        check(await given(hub.port, len(expected)), expected)


async def works(port: int, restarts: int) -> bool:
    """Whether the pipeline's process, started again so often, has taken something."""
    client = await WireClient.open(port)
    try:
        (status,) = (await client.good("Pipelines"))["pipelines"]
        return bool(status["restarts"] == restarts and status["taken"])
    finally:
        await client.close()


def children(pid: int) -> set[int]:
    """The processes that a process has started, as far as they are alive."""
    found = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        found |= {int(word) for word in (task / "children").read_text().split()}
    return {child for child in found if "Z (zombie)" not in Path(f"/proc/{child}/status").read_text()}
