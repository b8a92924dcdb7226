"""Promise P2 with a hub that is killed or loses power: what the broker was told to forget is in the file."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from hubqueue.hub.hub import Hub
from support.child import environment
from support.disk import Powered, shim
from support.mosquitto import VERSIONS, Mosquitto
from support.mqtt import publish
from support.torture import sized
from support.waiting import in_time, until

EACH = 4_000  # messages that are sent in each life: those of the lives before may all be done, on a quick machine
KILLED_AFTER = 1_300  # messages received, in the midst of them
KILLS = sized(ci=3, full=50)
CUTS = sized(ci=2, full=30)


class Bridges:
    """Bridge processes; those still running at the end of the test are killed."""

    def __init__(self) -> None:
        self._running: list[asyncio.subprocess.Process] = []

    async def start(self, path: Path, port: int, *words: str, **variables: str) -> asyncio.subprocess.Process:
        """One more, and up."""
        process = await self.launch(path, port, *words, **variables)
        await told(process)
        return process

    async def launch(self, path: Path, port: int, *words: str, **variables: str) -> asyncio.subprocess.Process:
        """One more, on its way."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "support.bridge_process",
            str(path),
            str(port),
            *words,
            stdout=asyncio.subprocess.PIPE,
            env=environment(variables),
        )
        self._running.append(process)
        return process

    async def kill_all(self) -> None:
        for process in self._running:
            if process.returncode is None:
                await kill(process)


@pytest.fixture
async def bridges() -> AsyncIterator[Bridges]:
    made = Bridges()
    yield made
    await made.kill_all()


async def told(process: asyncio.subprocess.Process) -> int:
    """How many messages it says it has received: its next line."""
    assert process.stdout is not None
    async with in_time():
        line = await process.stdout.readline()
    assert line, "the bridge process has ended"
    return int(line.split()[1])


async def kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGKILL)
    await process.communicate()


async def payloads(path: Path) -> list[int]:
    """What is in the file, in order."""
    found: list[int] = []
    async with await Hub.open(path) as hub:
        cursor: int | None = None
        while True:
            page = await hub.list_jobs("readings", limit=1000, cursor=cursor)
            found += [msgspec.msgpack.decode(job.data or b"")["payload"] for job in page.jobs]
            cursor = page.cursor
            if cursor is None:
                return found


async def test_p2_messages_received_and_not_stored_come_again_after_a_kill(tmp_path: Path, bridges: Bridges) -> None:
    path = tmp_path / "hub.db"
    async with Mosquitto(tmp_path) as broker:
        process = await bridges.start(path, broker.port, "hold")
        await publish(broker.port, [("s/a", b"%d" % number) for number in range(300)])
        while await told(process) < 300:
            pass
        await kill(process)
        assert await payloads(path) == []
        process = await bridges.start(path, broker.port)
        await publish(broker.port, [("s/b", b"300")])
        await stored(process, broker)
        assert await payloads(path) == list(range(301))


@pytest.mark.parametrize("version", ["5", "3.1.1"])
@pytest.mark.parametrize("mosquitto", VERSIONS)
async def test_p2_a_message_is_one_job_wherever_the_hub_is_killed_but_for_one_moment(
    tmp_path: Path, bridges: Bridges, mosquitto: str, version: str
) -> None:
    """The moment: its packet id has left the file, and its acknowledgement has not left the process."""
    path = tmp_path / "hub.db"

    def numbered(first: int) -> list[tuple[str, bytes]]:
        return [("s/a", b"%d" % number) for number in range(first, first + 20)]

    async with Mosquitto(tmp_path, mosquitto) as broker:

        async def until_killed(at: str, messages: list[tuple[str, bytes]]) -> None:
            await publish(broker.port, messages)
            process = await bridges.launch(path, broker.port, f"at={at}", f"version={version}")
            assert await process.wait() == -signal.SIGKILL

        await kill(await bridges.start(path, broker.port, f"version={version}"))  # from now on the broker keeps them
        await until_killed("committed", numbered(0))
        await until_killed("synced", numbered(20))
        assert max(Counter(await payloads(path)).values()) == 1
        await until_killed("left", [])
        in_doubt = set(await payloads(path))
        await until_killed("acknowledged", numbered(40))
        process = await bridges.start(path, broker.port, f"version={version}")
        await publish(broker.port, [("s/b", b"60")])
        await stored(process, broker)
    counts = Counter(await payloads(path))
    assert set(counts) == set(range(61))
    twice = {number for number, count in counts.items() if count > 1}
    assert twice <= in_doubt
    assert twice
    assert max(counts.values()) == 2


async def test_p2_many_thousand_messages_survive_kills_in_their_midst(tmp_path: Path, bridges: Bridges) -> None:
    path = tmp_path / "hub.db"
    async with Mosquitto(tmp_path, persistence=True) as broker:
        for life in range(KILLS):
            process = await bridges.start(path, broker.port)
            async with asyncio.TaskGroup() as group:
                group.create_task(publish(broker.port, sent_in(life)))
                while await told(process) < KILLED_AFTER:
                    pass
                await kill(process)
        process = await bridges.start(path, broker.port)
        await publish(broker.port, [("s/last", b"-1")])
        await stored(process, broker)
    found = await payloads(path)
    assert list(dict.fromkeys(found)) == [*range(KILLS * EACH), -1]
    print(f"{len(found) - KILLS * EACH - 1} of {KILLS * EACH} messages became a second job")


def sent_in(life: int) -> list[tuple[str, bytes]]:
    """What is sent in this life of the hub, from 0 on."""
    return [("s/a", b"%d" % number) for number in range(life * EACH, (life + 1) * EACH)]


async def test_p2_power_cuts_lose_no_message_that_the_broker_was_told_to_forget(
    tmp_path: Path, bridges: Bridges
) -> None:
    disk = Powered(tmp_path, "xfs")
    async with Mosquitto(tmp_path, persistence=True) as broker:
        for life in range(CUTS):
            with disk.on() as folder:
                process = await bridges.start(folder / "hub.db", broker.port)
                async with asyncio.TaskGroup() as group:
                    group.create_task(publish(broker.port, sent_in(life)))
                    while await told(process) < KILLED_AFTER:
                        pass
                    disk.cut()
                    await kill(process)
        with disk.on() as folder:
            process = await bridges.start(folder / "hub.db", broker.port)
            await publish(broker.port, [("s/last", b"-1")])
            await stored(process, broker)
            found = await payloads(folder / "hub.db")
    assert set(found) == {-1, *range(CUTS * EACH)}


async def test_p2_nothing_is_acknowledged_while_the_disk_cannot_sync(tmp_path: Path, bridges: Bridges) -> None:
    fault = tmp_path / "fault"
    async with Mosquitto(tmp_path) as broker:
        process = await bridges.start(tmp_path / "hub.db", broker.port, **shim(tmp_path, fault=fault))
        fault.touch()
        await publish(broker.port, [("s/a", b"%d" % number) for number in range(200)])
        while await told(process) < 200:
            pass
        assert "Received PUBACK from hubqueue-" not in broker.log()
        await kill(process)  # a hub whose disk fails asks to be restarted
        fault.unlink()
        process = await bridges.start(tmp_path / "hub.db", broker.port)
        await stored(process, broker)
        assert set(await payloads(tmp_path / "hub.db")) == set(range(200))


async def stored(process: asyncio.subprocess.Process, broker: Mosquitto) -> None:
    """Wait until the broker has heard about everything it sent, then end the process."""
    await until(lambda: acknowledged(broker.log()))
    await kill(process)


def acknowledged(log: str) -> bool:
    """Whether the last message to the hub has been acknowledged."""
    sent = [line for line in log.splitlines() if "Sending PUBLISH to hubqueue-" in line]
    if not sent:
        return False
    mid = sent[-1].split(", m")[1].split(",")[0]
    after = log[log.rindex(sent[-1]) :]
    return f"(Mid: {mid}, RC:0)" in after
