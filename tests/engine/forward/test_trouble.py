"""Forwarding to a peer that answers as it is told: unexplained errors, full queues, one odd job among many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hubqueue.client.address import LinkSettings
from hubqueue.forward.forwarder import Forwarder
from hubqueue.forward.settings import ForwardSettings
from hubqueue.forward.sinks.hub import HubSink
from hubqueue.forward.status import Event, Forwarded, LinkChanged, Refused
from hubqueue.hub.hub import Hub
from hubqueue.model.job import NewJob
from support.peer import Peer
from support.waiting import in_time

encode = msgspec.msgpack.encode


class Central:
    """Answers PUSHB: keeps the jobs, or says what `refuse` says of them."""

    def __init__(self, refuse: Callable[[list[Any]], dict[str, Any] | None] = lambda data: None) -> None:
        self.refuse = refuse
        self.kept: list[Any] = []
        self.asked: list[list[Any]] = []
        self.floors: list[int] = []

    def __call__(self, cmd: str, fields: dict[str, Any]) -> dict[str, Any] | None:
        assert cmd == "PUSHB"
        data = [job["data"] for job in fields["jobs"]]
        self.asked.append(data)
        if "forwardFloor" in fields:
            self.floors.append(fields["forwardFloor"])
        refusal = self.refuse(data)
        if refusal is not None:
            return {"ok": False, **refusal}
        self.kept += data
        return {"ids": [job["customId"] for job in fields["jobs"]]}


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with await Hub.open(tmp_path / "edge.db") as hub:
        yield hub


async def add(hub: Hub, *data: Any) -> list[str]:
    return await hub.enqueue("readings", [NewJob(data=encode(value)) for value in data])


class Run:
    """A forwarder to the peer until `end` jobs have been forwarded or refused."""

    def __init__(self, hub: Hub, peer: Peer, **settings: Any) -> None:
        sink = HubSink(LinkSettings.from_url(peer.url))
        self.forwarder = Forwarder(
            hub,
            "readings",
            sink,
            ForwardSettings(**{"backoff_s": 0.005, "backoff_cap_s": 0.02, **settings}),
            hub_id_of=hub.hub_id_of,
        )
        self.events: list[Event] = []

    async def until(self, end: int) -> None:
        ended, done = asyncio.Event(), 0

        def receive(event: Event) -> None:
            nonlocal done
            self.events.append(event)
            done += len(event.ids) if isinstance(event, Forwarded) else isinstance(event, Refused)
            if done >= end:
                ended.set()

        self.forwarder.listen(receive)
        async with in_time(), self.forwarder:
            await ended.wait()

    @property
    def refused(self) -> list[tuple[str, str]]:
        return [(event.id, event.rejected.code) for event in self.events if isinstance(event, Refused)]


async def test_an_error_nobody_can_explain_dead_letters_a_job_only_after_its_cap(hub: Hub) -> None:
    central = Central(lambda data: {"error": "Internal server error"} if "odd" in data else None)
    ids = await add(hub, 1, 2, "odd", 4, 5)
    async with Peer(central) as peer:
        run = Run(hub, peer, unknown_cap=3)
        await run.until(5)
    assert sorted(central.kept) == [1, 2, 4, 5]
    assert run.refused == [(ids[2], "unknown")]
    assert central.asked.count(["odd"]) == 3
    counts = await hub.counts("readings")
    assert (counts.completed, counts.failed) == (4, 1)


async def test_an_unexplained_error_of_a_batch_dead_letters_nobody(hub: Hub) -> None:
    central = Central(lambda data: {"error": "Internal server error"} if len(central.asked) <= 10 else None)
    await add(hub, *range(50))
    async with Peer(central) as peer:
        run = Run(hub, peer, unknown_cap=11)
        await run.until(50)
    assert central.kept == list(range(50))
    assert run.refused == []


async def test_a_refusal_that_names_no_entry_is_narrowed_to_the_one_job(hub: Hub) -> None:
    central = Central(lambda data: {"error": "no thanks", "code": "invalid"} if 17 in data else None)
    ids = await add(hub, *range(40))
    async with Peer(central) as peer:
        run = Run(hub, peer)
        await run.until(40)
    assert central.kept == [n for n in range(40) if n != 17]
    assert run.refused == [(ids[17], "invalid")]
    assert len(central.asked) < 20


async def test_a_queue_too_small_for_a_whole_batch_still_gets_its_jobs(hub: Hub) -> None:
    def full(data: list[Any]) -> dict[str, Any] | None:
        return {"error": "The queue is full", "code": "queue_full"} if len(data) > 20 else None

    central = Central(full)
    await add(hub, *range(100))
    async with Peer(central) as peer:
        run = Run(hub, peer)
        await run.until(100)
    assert central.kept == list(range(100))
    downs = [event.down for event in run.events if isinstance(event, LinkChanged) and event.down is not None]
    assert {down.reason.value for down in downs} == {"queue_full"}
    assert (await hub.counts("readings")).failed == 0


async def test_the_floor_is_told_only_to_those_who_announce_it(hub: Hub) -> None:
    central = Central()
    await add(hub, *range(10))
    async with Peer(central) as peer:
        await Run(hub, peer).until(10)
        assert central.floors == []
        peer.capabilities.append("forward-floor")
        await add(hub, *range(10, 20))
        await Run(hub, peer).until(10)
    assert central.floors == [11]


async def test_a_reply_that_makes_no_sense_is_a_trouble_of_the_link(hub: Hub) -> None:
    replies: list[dict[str, Any]] = [{"ids": "many"}, {"ids": []}, {}]
    central = Central()

    def answer(cmd: str, fields: dict[str, Any]) -> dict[str, Any] | None:
        return replies.pop() if replies else central(cmd, fields)

    await add(hub, 1, 2, 3)
    async with Peer(answer) as peer:
        run = Run(hub, peer)
        await run.until(3)
    assert central.kept == [1, 2, 3]
    downs = [event.down for event in run.events if isinstance(event, LinkChanged) and event.down is not None]
    assert [down.reason.value for down in downs] == ["protocol"] * 3
