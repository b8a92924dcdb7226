"""Leases that end while a forwarder holds their jobs and has not sent them: it lets go of these, and of no others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import pytest

from hubqueue.client.local import LocalHub
from hubqueue.forward.forwarder import Forwarder
from hubqueue.forward.settings import ForwardSettings
from hubqueue.model.job import Leased, NewJob
from hubqueue.model.outcome import Release, Settlement
from hubqueue.model.state import State
from hubqueue.model.verbs import Renewal
from support.breaking import Breaking
from support.lease_owners import Heard
from support.waiting import until

QUEUE = "readings"


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[LocalHub]:
    async with await LocalHub.open(tmp_path / "edge.db") as hub:
        yield hub


def forwarder_to(sink: Breaking, hub: LocalHub, **settings: float) -> Forwarder:
    tuning = ForwardSettings(lease_ms=1000, **settings)  # type: ignore[arg-type]
    return Forwarder(hub, QUEUE, sink, tuning, hub_id_of=hub.hub_id_of)


async def add(hub: LocalHub, *numbers: int) -> list[str]:
    return await hub.enqueue(QUEUE, [NewJob(data=msgspec.msgpack.encode(number)) for number in numbers])


async def take_away(hub: LocalHub, heard: Heard, id: str) -> None:
    *_, token = [leased.token for leased in heard.leased if leased.id == id]
    await LocalHub.settle(hub, [Settlement(id, token, Release(3600))])


async def test_what_was_lost_or_cancelled_before_it_left_is_not_sent(
    hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard, sink, on_disk = Heard(hub, monkeypatch), Breaking(set(), "hangs up"), asyncio.Event()
    forwarder = forwarder_to(sink, hub)

    async def slow_disk(jobs: Sequence[Leased]) -> None:
        await on_disk.wait()

    monkeypatch.setattr(forwarder._horizon, "on_disk", slow_disk)
    first, lost, cancelled, last = await add(hub, 0, 1, 2, 3)
    async with forwarder:
        await until(lambda: forwarder._keeper.count == 4)
        await take_away(hub, heard, lost)
        await hub.cancel(cancelled, active=True)
        await until(heard.said(lost, Renewal.LOST))
        await until(heard.said(cancelled, Renewal.CANCELLED))
        on_disk.set()
        await until(lambda: sink.taken == [0, 3])
        await until(lambda: forwarder._keeper.count == 0)
    assert [(await hub.get(id)).state for id in (first, lost, cancelled, last)] == [
        State.COMPLETED,
        State.DELAYED,
        State.FAILED,
        State.COMPLETED,
    ]
    assert lost not in [id for id, _ in heard.settled]


@pytest.mark.parametrize("how", ["lost", "cancelled"])
async def test_what_is_set_aside_for_long_is_let_go_of_at_once(
    hub: LocalHub, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Its next try is an hour away."""
    heard, sink = Heard(hub, monkeypatch), Breaking({0}, "hangs up")
    forwarder = forwarder_to(sink, hub, backoff_s=0.001, backoff_cap_s=3600, unknown_cap=1_000_000)
    odd, *_ = await add(hub, 0, 1, 2)
    async with forwarder:
        await until(lambda: sink.taken == [1, 2] and forwarder._suspects.waits(odd))
        forwarder._suspects._of[odd].due_s += 3600
        if how == "lost":
            await take_away(hub, heard, odd)
        else:
            await hub.cancel(odd, active=True)
        await until(lambda: forwarder._keeper.count == 0)
        assert not forwarder._suspects.held()
        state = State.DELAYED if how == "lost" else State.FAILED

        async def ended() -> bool:
            return (await hub.get(odd)).state is state

        await until(ended)
