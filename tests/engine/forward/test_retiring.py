"""Forwarders that are forgotten as soon as their queue holds nothing to forward, whatever happens meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubqueue.client.local import LocalHub
from hubqueue.errors import NotFound, WrongState
from hubqueue.forward.forwarders import Forwarders
from hubqueue.hub import forwarders
from support.fleet import Edge, arrived
from support.ports import free_port
from support.served import Served, served
from support.waiting import until


def names(edge: Edge) -> list[str]:
    return sorted(edge.fleet._uplinks)


async def test_one_that_is_done_goes_at_once(edge: Edge, served_hub: Served) -> None:
    await edge.add(2)
    await edge.put(served_hub.url)
    await edge.shows(lambda status: status.now.forwarded == 2)
    await edge.fleet.delete("up", when_empty=True)
    assert names(edge) == []
    assert await edge.hub.run(forwarders.every) == []


@pytest.mark.parametrize("restart", [False, True])
async def test_one_with_messages_goes_when_they_have_arrived_over_restarts_too(tmp_path: Path, restart: bool) -> None:
    port = free_port()
    async with await LocalHub.open(tmp_path / "edge.db") as hub:
        edge = Edge(hub, Forwarders(hub, (), grace_s=1.0))
        await edge.fleet.start()
        await edge.add(3)
        await edge.put(f"tcp://127.0.0.1:{port}")
        await edge.fleet.delete("up", when_empty=True)
        assert (await edge.status()).retiring
        if restart:
            await edge.fleet.stop()
            edge = Edge(hub, Forwarders(hub, (), grace_s=1.0))
            await edge.fleet.start()
            assert (await edge.status()).retiring
        async with served(tmp_path / "central.db", port=port) as there:
            await until(lambda: not edge.fleet._uplinks)
            assert await arrived(there) == [0, 1, 2]
        assert await hub.run(forwarders.every) == []
        await edge.fleet.stop()


async def test_it_goes_too_when_what_waited_was_taken_away(edge: Edge) -> None:
    (id,) = await edge.add(1)
    await edge.put(f"tcp://127.0.0.1:{free_port()}")
    await edge.fleet.pause("up", paused=True)
    await edge.shows(lambda status: status.now.in_flight == 0)
    await edge.fleet.delete("up", when_empty=True)
    assert names(edge) == ["up"]
    await edge.hub.cancel(id)
    await until(lambda: not edge.fleet._uplinks)


async def test_one_that_is_put_again_stays(edge: Edge, served_hub: Served) -> None:
    await edge.add(1)
    away = f"tcp://127.0.0.1:{free_port()}"
    await edge.put(away)
    await edge.fleet.delete("up", when_empty=True)
    await edge.put(away)
    assert not (await edge.status()).retiring
    await edge.put(served_hub.url)
    await edge.put(f"tcp://127.0.0.1:{free_port()}", name="other", queue="others")
    await edge.shows(lambda status: status.now.forwarded == 1)
    await edge.add(1, queue="others")
    await edge.fleet.delete("other", when_empty=True)
    await edge.fleet.delete("other")  # not only when it is done: now
    assert names(edge) == ["up"]


async def test_only_what_is_there_and_made_at_run_time_retires(edge: Edge, served_hub: Served, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        await edge.fleet.delete("nobody", when_empty=True)
    await edge.put(served_hub.url)
    plan = edge.fleet._uplinks["up"].plan
    async with await LocalHub.open(tmp_path / "declared.db") as hub:
        fleet = Forwarders(hub, [plan], grace_s=0.1)
        await fleet.start()
        with pytest.raises(WrongState):
            await fleet.delete("up", when_empty=True)
        await fleet.stop()
