"""One forwarder of a hub: its hours, its drains, and what is told while it is idle."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hubqueue.client.local import LocalHub
from hubqueue.errors import WrongState
from hubqueue.forward.breaker import LinkState
from hubqueue.forward.forwarders import Forwarders
from hubqueue.model.hours import Hours
from hubqueue.model.job import NewJob
from support.clock import RunningClock
from support.fleet import Edge
from support.proxy import Proxy, Uplink
from support.served import Served

NOON_MS = 1_795_348_800_000  # 2026-11-22 12:00 UTC
HOUR_MS = 3_600_000


def _set(clock: RunningClock, at_ms: int) -> None:
    clock.passed_ms += at_ms - clock.system.wall_ms()


@pytest.fixture
def clock() -> RunningClock:
    return RunningClock()


@pytest.fixture
async def nightly(clock: RunningClock, tmp_path: Path) -> AsyncIterator[Edge]:
    """An edge whose clock stands at noon."""
    _set(clock, NOON_MS)
    async with await LocalHub.open(tmp_path / "edge.db", system=clock.system) as hub:
        fleet = Forwarders(hub, (), grace_s=1.0)
        await fleet.start()
        yield Edge(hub, fleet)
        await fleet.stop()


async def test_it_forwards_in_its_hours_and_holds_no_connection_outside(
    nightly: Edge, served_hub: Served, clock: RunningClock
) -> None:
    edge = nightly
    await edge.add(4)
    async with Proxy(served_hub.port) as proxy:
        await edge.put(f"tcp://127.0.0.1:{proxy.port}", hours=Hours(("22:00-06:00",)))
        status = await edge.shows(lambda status: status.now.link is LinkState.IDLE)
        assert (status.now.reason, status.now.waiting, status.paused) == ("hours", 4, False)
        assert status.hours is not None
        assert (status.hours.open, status.hours.until_ms) == (False, NOON_MS + 10 * HOUR_MS)
        assert proxy.accepted == 0
        _set(clock, NOON_MS + 10 * HOUR_MS)
        await edge.shows(lambda status: status.now.forwarded == 4)
        _set(clock, NOON_MS + 18 * HOUR_MS)
        await edge.shows(lambda status: status.now.link is LinkState.IDLE)
        accepted = proxy.accepted
        await edge.add(2, 4)
        assert (await edge.hub.counts("readings")).waiting == 2
        assert proxy.accepted == accepted


async def test_a_drain_ignores_the_hours_once(nightly: Edge, served_hub: Served) -> None:
    edge = nightly
    await edge.add(250)
    await edge.put(served_hub.url, hours=Hours(("22:00-06:00",)))
    assert await edge.fleet.drain("up") == 250
    await edge.shows(lambda status: status.now.link is LinkState.IDLE and not status.draining)
    assert (await edge.status()).now.forwarded == 250
    await edge.add(5, 250)
    assert (await edge.status()).now.link is LinkState.IDLE
    assert (await edge.hub.counts("readings")).waiting == 5


async def test_a_drain_ends_when_the_jobs_are_purged_meanwhile(nightly: Edge) -> None:
    edge = nightly
    await edge.add(3)
    await edge.put("tcp://127.0.0.1:1", hours=Hours(("22:00-06:00",)))
    await edge.fleet.drain("up")
    await edge.shows(lambda status: status.now.link is LinkState.DOWN)
    await edge.hub.drain("readings")
    await edge.shows(lambda status: status.now.link is LinkState.IDLE and not status.draining)


async def down_for_long(edge: Edge, proxy: Proxy) -> None:
    """The link is down and not tried again for minutes, though the other side is there by now."""
    await proxy.set(Uplink.REFUSE)
    await edge.put(f"tcp://127.0.0.1:{proxy.port}", backoff_ms=600_000, backoff_cap_ms=600_000)
    await edge.shows(lambda status: status.now.link is LinkState.DOWN and (status.now.retry_in_s or 0) > 60)
    await proxy.set(Uplink.PASS)


async def test_a_drain_tries_a_link_that_is_down_at_once(edge: Edge, served_hub: Served) -> None:
    await edge.add(2)
    async with Proxy(served_hub.port) as proxy:
        await down_for_long(edge, proxy)
        assert await edge.fleet.drain("up") == 2
        await edge.shows(lambda status: status.now.forwarded == 2)


async def test_what_is_paused_is_not_drained(edge: Edge, served_hub: Served) -> None:
    await edge.put(served_hub.url)
    await edge.hub.pause("readings")
    await edge.add(1)
    with pytest.raises(WrongState, match="queue readings is paused"):
        await edge.fleet.drain("up")
    await edge.fleet.pause("up", paused=True)
    with pytest.raises(WrongState, match="forwarder up is paused"):
        await edge.fleet.drain("up")


async def test_a_drain_runs_what_is_delayed_too(edge: Edge, served_hub: Served) -> None:
    await edge.hub.enqueue("readings", [NewJob(delay_ms=HOUR_MS), NewJob(delay_ms=HOUR_MS), NewJob()])
    async with Proxy(served_hub.port) as proxy:
        await down_for_long(edge, proxy)
        assert await edge.fleet.drain("up") == 3
        await edge.shows(lambda status: status.now.forwarded == 3)
        await edge.shows(lambda status: not status.draining)
