"""A verb says the same in the hub's process and over TCP: what it did, and in which words it refuses."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from hubqueue.client.address import LinkSettings
from hubqueue.client.hubclient import HubClient
from hubqueue.client.remote import RemoteHub
from hubqueue.client.replies import Done
from hubqueue.errors import HubqueueError, Invalid
from hubqueue.model.job import NewJob
from hubqueue.model.outcome import Reject, Settlement
from hubqueue.model.state import State
from support.served import served

LATER = 40 * 86_400_000  # more milliseconds than 32 bits hold
Verb = Callable[[HubClient, str], Awaitable[Any]]  # gets the id of a delayed job of queue "q"


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[tuple[HubClient, HubClient]]:
    async with served(tmp_path / "hub.db") as there, RemoteHub(LinkSettings.from_url(there.url)) as far:
        yield there.hub, far


async def delayed(hub: HubClient) -> str:
    (id,) = await hub.enqueue("q", [NewJob(delay_ms=1_000_000)])
    return id


REFUSED: dict[str, Verb] = {
    "progress of no number": lambda hub, id: hub.progress(id, None, math.nan),
    "progress of a job that waits": lambda hub, id: hub.progress(id, None, 5.0),
    "a log of nothing": lambda hub, id: hub.log("gone", "text"),
    "cancel nothing": lambda hub, id: hub.cancel("gone"),
    "promote nothing": lambda hub, id: hub.promote("gone"),
    "snooze without a time": lambda hub, id: hub.snooze(id),
    "snooze before the epoch": lambda hub, id: hub.snooze(id, until_ms=-1),
    "snooze for ages": lambda hub, id: hub.snooze(id, delay_ms=10**15),
    "update nothing": lambda hub, id: hub.update("gone", b"\x01"),
    "too high a priority": lambda hub, id: hub.change_priority(id, 10**9),
    "a priority of text": lambda hub, id: hub.change_priority(id, "high"),  # type: ignore[arg-type]
    "delay for ages": lambda hub, id: hub.change_delay(id, 10**15),
    "retry what has not ended": lambda hub, id: hub.retry(id),
    "retry nothing": lambda hub, id: hub.retry("gone"),
    "clean for less than no time": lambda hub, id: hub.clean("q", -5),
    "obliterate what holds a job": lambda hub, id: hub.obliterate("q", force=False),
    "pause no name": lambda hub, id: hub.pause(""),
    "resume no name": lambda hub, id: hub.resume("a/b"),
    "delete no schedule": lambda hub, id: hub.delete_schedule("gone"),
}


@pytest.mark.parametrize("verb", REFUSED.values(), ids=REFUSED)
async def test_it_refuses_in_the_same_words(both: tuple[HubClient, HubClient], verb: Verb) -> None:
    said = []
    id = await delayed(both[0])
    for hub in both:
        with pytest.raises(HubqueueError) as refused:
            await verb(hub, id)
        said.append((refused.value.code, refused.value.message, refused.value.hint))
    assert said[0] == said[1]


async def ended(hub: HubClient, queue: str) -> str:
    await hub.enqueue(queue, [NewJob()])
    (leased,) = await hub.lease(queue, owner="w")
    await hub.settle([Settlement(leased.job.id, leased.token, Reject("no"))])
    return leased.job.id


DONE: dict[str, Verb] = {
    "log": lambda hub, id: hub.log(id, "text"),
    "cancel": lambda hub, id: hub.cancel(id, active=True),
    "promote": lambda hub, id: hub.promote(id),
    "snooze until": lambda hub, id: hub.snooze(id, until_ms=2_000_000_000_000),
    "snooze for": lambda hub, id: hub.snooze(id, delay_ms=LATER),
    "update": lambda hub, id: hub.update(id, b"\x01"),
    "change_priority": lambda hub, id: hub.change_priority(id, -7),
    "change_delay": lambda hub, id: hub.change_delay(id, LATER),
    "promote_all": lambda hub, id: hub.promote_all("q", limit=5),
    "drain": lambda hub, id: hub.drain("q"),
    "pause": lambda hub, id: hub.pause("q"),
    "resume": lambda hub, id: hub.resume("q"),
    "obliterate": lambda hub, id: hub.obliterate("q"),
}


@pytest.mark.parametrize("verb", DONE.values(), ids=DONE)
async def test_it_does_the_same(both: tuple[HubClient, HubClient], verb: Verb) -> None:
    found = []
    for hub in both:
        id = await delayed(hub)
        answer = await verb(hub, id)
        page = await both[0].list_jobs("q")
        jobs = [
            (job.state, job.priority, job.data, job.run_at_ms - job.created_at_ms > LATER // 2) for job in page.jobs
        ]
        found.append((answer, await both[0].queues(), jobs))
        await both[0].obliterate("q")
    assert found[0] == found[1]


async def test_dead_letters_are_counted_the_same(both: tuple[HubClient, HubClient]) -> None:
    found = []
    for number, hub in enumerate(both):
        queue = f"dead{number}"
        id = await ended(hub, queue)
        one = await hub.retry(id)
        (again,) = await hub.lease(queue, owner="w")
        await hub.settle([Settlement(again.job.id, again.token, Reject("no"))])
        all_of_it = await hub.retry_dead(queue, limit=3)
        (last,) = await hub.lease(queue, owner="w")
        await hub.settle([Settlement(last.job.id, last.token, Reject("no"))])
        cleaned = await hub.clean(queue, 0, state=State.FAILED)
        await ended(hub, queue)
        found.append((one, all_of_it, cleaned == [id], await hub.purge(queue)))
    assert found[0] == found[1]
    assert found[0][2:] == (True, 1)


@pytest.mark.parametrize("cmd", ["SubscribeChannel", "SubscribeEvents", "SubscribeSummaries"])
async def test_who_only_asks_cannot_subscribe_and_disturbs_nobody(both: tuple[HubClient, HubClient], cmd: str) -> None:
    with pytest.raises(Invalid, match="connection that stays"):
        await both[0].ask(cmd, Done, channel="c", queue="q")
    assert await both[0].publish("c", b"\x01") == 0
    await delayed(both[0])
