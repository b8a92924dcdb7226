"""The parts of a process come up and go down in order, and leave nothing behind when one of them cannot start."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest

import hubqueue
from hubqueue.app import App
from hubqueue.client.address import LinkSettings
from hubqueue.config.settings import Config, Forward, Handlers, HttpDoor, TcpDoor
from hubqueue.errors import ConfigError, LinkDown
from hubqueue.forward.destination import HubDestination
from hubqueue.hub.hub import Hub
from hubqueue.hub.settings import HubSettings
from support.receiver import receiver
from support.waiting import until
from support.wire import WireClient

HANDLER = """
import asyncio
from hubqueue import task

@task("slow", queue="slow", concurrency=2)
async def slow(job):
    await job.progress(1)
    await asyncio.sleep(job.data)
    return "done"
"""


def config(folder: Path, **changes: object) -> Config:
    base = Config(data_path=folder / "data" / "hub.db", tcp=TcpDoor(port=0), http=HttpDoor(port=0), drain_s=2.0)
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


async def test_the_folder_of_the_file_is_made(tmp_path: Path) -> None:
    async with App(config(tmp_path)) as app:
        assert (tmp_path / "data" / "hub.db").is_file()
        assert app.url == f"tcp://127.0.0.1:{app.tcp.port}"


async def test_a_part_that_cannot_start_leaves_nothing_open(tmp_path: Path) -> None:
    async with App(config(tmp_path)) as first:
        other = config(tmp_path / "other", tcp=TcpDoor(port=first.tcp.port))
        with pytest.raises(ConfigError, match=str(first.tcp.port)):
            await App(other).start()
        hub = await Hub.open(other.data_path)  # its lock is free again
        await hub.close()


async def test_a_stopped_app_is_stopped(tmp_path: Path) -> None:
    app = App(config(tmp_path))
    await app.start()
    url = app.url
    await app.stop()
    await app.stop()
    with pytest.raises(LinkDown):
        await hubqueue.Client(url).open()


async def test_handlers_that_end_in_time_are_completed_and_the_others_given_back(tmp_path: Path) -> None:
    folder = tmp_path / "handlers"
    folder.mkdir()
    (folder / "slow.py").write_text(HANDLER)
    wanted = config(tmp_path, handlers=Handlers(folder))
    async with App(wanted) as app:
        running: set[str] = set()
        await app.hub.subscribe("slow", lambda event: event.kind == "progress" and running.add(event.job_id))
        ids = await app.hub.enqueue("slow", [hubqueue.job("slow", seconds) for seconds in (0.5, 60)])
        await until(lambda: running == set(ids))
    hub = await Hub.open(wanted.data_path)
    try:
        assert [(job.state.name, job.attempts) for job in [await hub.get(id) for id in ids]] == [
            ("COMPLETED", 0),
            ("WAITING", 0),
        ]
    finally:
        await hub.close()


async def test_a_forwarder_that_finds_nobody_does_not_hold_up_the_end(tmp_path: Path) -> None:
    nobody = Forward(HubDestination(LinkSettings.from_url("tcp://127.0.0.1:1")), queue="q")
    async with App(config(tmp_path, forwarders=(nobody,))) as app:
        (status,) = await app.fleet.statuses()
        assert status.now.forwarded == 0
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 2.0


async def test_a_forwarder_with_nothing_to_do_does_not_hold_up_the_end(tmp_path: Path) -> None:
    async with App(config(tmp_path / "central")) as central:
        idle = Forward(HubDestination(LinkSettings.from_url(central.url)), queue="q")
        async with App(config(tmp_path / "edge", forwarders=(idle,))) as edge:

            async def up() -> bool:
                return (await edge.fleet.statuses())[0].now.link.value == "up"

            await until(up)
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 2.0


async def test_webhooks_that_were_added_over_the_wire_are_delivered(tmp_path: Path) -> None:
    async with receiver() as target, App(config(tmp_path, hub=HubSettings(webhook_hosts=("127.0.0.1",)))) as app:
        client = await WireClient.open(app.tcp.port)
        await client.good("AddWebhook", url=target.url, events=["job.pushed"], queue="q")
        id = (await client.good("PUSH", queue="q", name="n", data=1))["id"]
        await until(lambda: bool(target.bodies))
        assert target.messages[0]["jobId"] == id
        await client.close()
