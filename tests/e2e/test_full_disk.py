"""Rule 46, P10: a disk that one hub fills is emptied through every door in turn, without a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from support.disk import small
from support.hub_process import HubProcess
from support.shell import Shell
from support.waiting import until
from support.wire import WireClient

MEGABYTES = 28
LOOKS = 30  # of 50 ms each: by then a disk that can make room has made it
DATA = "x" * 100_000


class Doors:
    """One hub on a small disk, and the ways in."""

    def __init__(self, hub: HubProcess, client: WireClient, web: aiohttp.ClientSession) -> None:
        self.ids: list[str] = []
        self.client = client
        self.web = web
        self.base = f"http://127.0.0.1:{hub.http_port}"
        self.shell = Shell(hub.folder, hub.url)

    async def fill(self) -> int:
        """Until it is full and stays so; how many jobs are there."""
        self.ids = []
        full = False
        while not full:
            told = await self.client.call("PUSH", queue="q", data=DATA)
            if told["ok"]:
                self.ids.append(told["id"])
            else:
                assert told["code"] == "disk_full"
                full = not await self._healed()
        assert len(self.ids) > 50
        return len(self.ids)

    async def _healed(self) -> bool:
        """Whether new jobs are taken again by themselves: the log is cut, and what the file can spare is given back."""
        for _ in range(LOOKS):
            if await self.takes():
                return True
            await asyncio.sleep(0.05)
        return False

    async def takes(self) -> bool:
        return not (await self.client.good("StorageStatus"))["data"]["diskFull"]

    async def rest(self, method: str, path: str, **body: object) -> dict[str, object]:
        async with self.web.request(method, f"{self.base}/api/v1{path}", json=body or None) as answer:
            assert answer.status < 300, await answer.text()
            return dict(await answer.json()) if answer.status == 200 else {}

    async def click(self, path: str) -> None:
        async with self.web.post(f"{self.base}{path}", headers={"Origin": self.base, "HX-Request": "true"}) as answer:
            assert answer.status < 300, await answer.text()

    async def bury(self) -> None:
        """Make them dead letters: that works on a full disk too."""
        for id in self.ids:
            await self.client.good("Discard", id=id)


async def _drain(doors: Doors, taken: int) -> None:
    assert (await doors.client.good("Drain", queue="q"))["count"] == taken


async def _clean(doors: Doors, taken: int) -> None:
    assert (await doors.client.good("Clean", queue="q", grace=0, limit=100_000))["count"] == taken


async def _obliterate(doors: Doors, taken: int) -> None:
    await doors.client.good("Obliterate", queue="q")


async def _rest_drain(doors: Doors, taken: int) -> None:
    assert (await doors.rest("POST", "/queues/q/drain"))["count"] == taken


async def _click(doors: Doors, taken: int) -> None:
    await doors.click("/queues/q/sweep/drain")


async def _cli_purge(doors: Doors, taken: int) -> None:
    told = await asyncio.to_thread(doors.shell, "dlq", "purge", "q", "--yes")
    assert told.stdout == f"{taken:,} dead jobs are deleted.\n"


WAYS: tuple[tuple[Callable[[Doors, int], Awaitable[None]], bool], ...] = (
    (_rest_drain, False),
    (_cli_purge, True),
    (_click, False),
    (_clean, False),
    (_obliterate, False),
    (_drain, False),
)


@pytest.mark.slow
async def test_p10_a_disk_is_filled_and_emptied_through_every_door(tmp_path: Path) -> None:
    with small(tmp_path / "disk", MEGABYTES) as folder, HubProcess(folder) as hub:
        client = await WireClient.open(hub.port)
        async with aiohttp.ClientSession() as web:
            doors = Doors(hub, client, web)
            for way, dead in WAYS:
                taken = await doors.fill()
                if dead:
                    await doors.bury()
                await way(doors, taken)
                await until(doors.takes)
                assert (await client.good("GetJobCounts", queue="q"))["counts"]["waiting"] == 0
        await client.close()
        assert hub.stop() == 0
