"""Pipelines of a real `hubqueue run`: in its process and beside it, shown, stopped, gone on with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import aiohttp

from support.hub_process import HubProcess
from support.shell import Shell
from support.waiting import until
from support.wire import WireClient

CONFIG = """
data_path: hub.db
pipelines: [pipelines/*.yaml]
"""
IN_HUB = """
name: means
from: {queue: readings}
steps:
  - window: {every: 60s, by: [device], time: at, values: {value: mean}}
to: [{queue: means}, {channel: live}]
"""
BESIDE = """
name: copies
from: {queue: raw}
process: own
steps:
  - filter: data.value > 0
  - validate: {schema: {required: [device]}}
to: {queue: copied}
"""
AT = "2026-01-01T10:00:{second:02}Z"


def hub_of(folder: Path) -> HubProcess:
    (folder / "pipelines").mkdir()
    (folder / "hub.yaml").write_text(CONFIG)
    (folder / "pipelines" / "a.yaml").write_text(IN_HUB)
    (folder / "pipelines" / "b.yaml").write_text(BESIDE)
    return HubProcess(folder, "--tcp-port", "0", "--http-port", "0", config=folder / "hub.yaml")


async def push(client: WireClient, queue: str, *data: dict[str, Any]) -> None:
    await client.good("PUSHB", queue=queue, jobs=[{"name": "r", "data": each} for each in data])


async def state_of(client: WireClient, name: str) -> dict[str, Any]:
    found = (await client.good("Pipelines"))["pipelines"]
    (one,) = (each for each in found if each["name"] == name)
    assert isinstance(one, dict)
    return one


async def test_pipelines_work_are_shown_and_go_on_after_a_stop(tmp_path: Path) -> None:
    with hub_of(tmp_path) as hub:
        client = await WireClient.open(hub.port)

        async def taken(name: str, count: int) -> bool:
            return bool((await state_of(client, name))["taken"] >= count)

        await push(client, "readings", *({"device": "a", "at": AT.format(second=s), "value": s} for s in (1, 2)))
        await push(client, "raw", {"device": "a", "value": 1}, {"value": 1}, {"device": "b", "value": 0})
        await until(lambda: taken("means", 2))
        await until(lambda: taken("copies", 3))
        copies = await state_of(client, "copies")
        assert (copies["given"], copies["refused"], copies["trouble"], copies["process"]) == (1, 1, None, "own")
        shell = Shell(tmp_path, hub.url)
        shown = {each["name"]: each for each in shell.json("pipeline", "list")}
        assert {name: each["queue"] for name, each in shown.items()} == {"means": "readings", "copies": "raw"}
        assert shown["means"]["to"] == ["means", "channel live"]
        table = shell("pipeline", "list").stdout
        assert "readings -> means" in table
        url = f"http://127.0.0.1:{hub.http_port}/api/v1/pipelines"
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            assert {each["name"] for each in (await answer.json())["pipelines"]} == {"means", "copies"}
        child = children(hub.pid)
        assert len(child) == 1
        await client.close()
        assert hub.stop() == 0
        assert not any(alive(pid) for pid in child)
        assert "Traceback" not in hub.log()

        hub.start()
        client = await WireClient.open(hub.port)
        later = AT.format(second=5).replace("10:00", "10:02")
        await push(client, "readings", {"device": "a", "at": later, "value": 9})
        await push(client, "raw", {"device": "c", "value": 2})
        await until(lambda: taken("means", 1))
        await until(lambda: taken("copies", 1))
        job = (await client.good("PULL", queue="means", owner="t"))["job"]
        assert {name: job["data"][name] for name in ("count", "value_mean")} == {"count": 2, "value_mean": 1.5}
        await client.close()


async def test_a_pipelines_process_does_not_outlive_a_killed_hub(tmp_path: Path) -> None:
    with hub_of(tmp_path) as hub:
        client = await WireClient.open(hub.port)
        await push(client, "raw", {"device": "a", "value": 1})

        async def works() -> bool:
            return bool((await state_of(client, "copies"))["taken"])

        await until(works)
        (child,) = children(hub.pid)
        await client.close()
        hub.kill()
        await until(lambda: not alive(child))


def children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(word) for word in (task / "children").read_text().split()]
    return found


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False
