"""Channels in Python, embedded and over TCP: said to who listens, kept for nobody."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hubqueue.api import channel
from hubqueue.api.access import Access
from hubqueue.api.channel import Said
from hubqueue.errors import Invalid, PayloadTooLarge
from hubqueue.work.running import RunningJob
from support.waiting import in_time, until


async def listening(hub: Access, name: str, count: int) -> asyncio.Task[list[Said]]:
    """Collects so many messages; returns once the hub knows the listener."""

    async def collect() -> list[Said]:
        heard: list[Said] = []
        async for said in hub.channel(name):
            heard.append(said)
            if len(heard) == count:
                break
        return heard

    task = asyncio.create_task(collect())
    await said_to_somebody(hub, "probe" if name == "*" else name, "probe")
    return task


async def said_to_somebody(hub: Access, name: str, data: object) -> None:
    """Say it until somebody listens; what is said before is not heard."""

    async def heard() -> bool:
        return await hub.publish(name, data) > 0

    await until(heard)


async def test_what_is_said_is_heard_in_order(hub: Access) -> None:
    task = await listening(hub, "doors", 4)
    for value in ({"open": True}, None, b"raw"):
        assert await hub.channel("doors").publish(value) == 1
    async with in_time():
        heard = await task
    assert [said.data for said in heard] == ["probe", {"open": True}, None, b"raw"]
    assert {said.channel for said in heard} == {"doors"}


async def test_all_channels_can_be_heard_at_once(hub: Access) -> None:
    task = await listening(hub, "*", 3)
    await hub.publish("a", 1)
    await hub.publish("b", 2)
    async with in_time():
        assert [(said.channel, said.data) for said in await task] == [("probe", "probe"), ("a", 1), ("b", 2)]


async def test_nobody_hears_what_was_said_before(hub: Access) -> None:
    assert await hub.publish("doors", "too early") == 0
    task = await listening(hub, "doors", 1)
    async with in_time():
        assert (await task)[0].data == "probe"


async def test_a_listener_that_stops_is_forgotten(hub: Access) -> None:
    task = await listening(hub, "doors", 1)
    await task

    async def nobody() -> bool:
        return not await hub.publish("doors", 1)

    await until(nobody)


async def test_a_slow_listener_misses_the_oldest_and_is_told_how_many(
    hub: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "MAX_WAITING", 3)
    messages = hub.channel("doors").__aiter__()
    first = asyncio.ensure_future(messages.__anext__())
    await said_to_somebody(hub, "doors", "first")
    await first
    for number in range(10):
        await hub.publish("doors", number)
    heard: list[Any] = []
    async with in_time():
        while not heard or heard[-1].data != 9:
            heard.append(await messages.__anext__())
    assert heard[0].data + sum(said.missed for said in heard[1:]) <= 9
    assert sum(said.missed for said in heard) + len(heard) == 10
    await messages.aclose()  # type: ignore[attr-defined]


async def test_a_name_that_cannot_be_and_too_much_data_are_refused(hub: Access) -> None:
    with pytest.raises(Invalid):
        await hub.publish("two/levels", 1)
    with pytest.raises(PayloadTooLarge):
        await hub.publish("doors", "x" * 1_100_000)


async def test_a_handler_says_something_while_it_runs(hub: Access) -> None:
    task = await listening(hub, "progress", 3)

    async def handle(job: RunningJob) -> None:
        await job.publish("progress", {"job": job.data})

    def handle_plainly(job: RunningJob) -> None:
        job.publish("progress", {"job": job.data})

    async with hub.worker("a", handle), hub.worker("b", handle_plainly):
        await hub.queue("a").add("n", 1)
        await hub.queue("b").add("n", 2)
        async with in_time():
            jobs = [said.data["job"] for said in (await task)[1:]]
    assert sorted(jobs) == [1, 2]
