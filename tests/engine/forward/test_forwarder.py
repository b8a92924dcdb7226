"""The forwarder between a real hub and a real server on the other side, through a proxy that breaks the link."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from hubqueue.client.address import LinkSettings
from hubqueue.client.remote import RemoteHub
from hubqueue.forward.breaker import LinkState
from hubqueue.forward.forwarder import Forwarder
from hubqueue.forward.settings import ForwardSettings
from hubqueue.forward.sinks.hub import HubSink
from hubqueue.forward.status import Event, Forwarded, ForwardStatus, LinkChanged, Refused
from hubqueue.hub.hub import Hub
from hubqueue.hub.verbs.enqueue import enqueue
from hubqueue.model.job import NewJob
from hubqueue.model.limits import MAX_DATA_BYTES
from hubqueue.model.state import State
from hubqueue.model.verbs import Verbs
from hubqueue.servers.settings import TcpSettings
from hubqueue.servers.tcp import TcpServer
from support import central
from support.context import context_of
from support.proxy import Proxy, Uplink
from support.waiting import PATIENCE_S, in_time

encode, decode = msgspec.msgpack.encode, msgspec.msgpack.decode
QUICK = {"backoff_s": 0.02, "backoff_cap_s": 0.2, "connect_timeout_s": 2.0}


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with await Hub.open(tmp_path / "edge.db") as hub:
        yield hub


@pytest.fixture(params=["hubqueue", "bunqueue"])
def kind(request: pytest.FixtureRequest) -> central.Kind:
    """What the other side is."""
    return cast("central.Kind", request.param)


@pytest.fixture
async def there(kind: central.Kind, tmp_path: Path) -> AsyncIterator[LinkSettings]:
    """The central server."""
    async with central.serve(kind, tmp_path) as link:
        yield link


@pytest.fixture
async def uplink(there: LinkSettings) -> AsyncIterator[Proxy]:
    async with Proxy(there.port) as proxy:
        yield proxy


class Watched:
    """A forwarder with everything it told."""

    def __init__(
        self,
        hub: Hub,
        link: LinkSettings,
        *,
        local: Verbs | None = None,
        write_timeout_s: float = 1.0,
        **settings: Any,
    ) -> None:
        self.sink = HubSink(link, write_timeout_s=write_timeout_s)
        tuning = ForwardSettings(**{**QUICK, **settings})
        self.forwarder = Forwarder(local or hub, "readings", self.sink, tuning, hub_id_of=hub.hub_id_of)
        self.events: list[Event] = []
        self._changed = asyncio.Event()
        self.forwarder.listen(self._tell)

    def _tell(self, event: Event) -> None:
        self.events.append(event)
        self._changed.set()

    @property
    def forwarded(self) -> int:
        return sum(len(event.ids) for event in self.events if isinstance(event, Forwarded))

    @property
    def link(self) -> list[str]:
        return [event.state.value for event in self.events if isinstance(event, LinkChanged)]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with in_time():
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def shows(self, condition: Callable[[ForwardStatus], bool]) -> ForwardStatus:
        async with in_time():
            while True:
                status = await self.forwarder.status()
                if condition(status):
                    return status
                await asyncio.sleep(0.01)


def link_to(proxy: Proxy, *, dead_after_s: float = 0.3, connect_timeout_s: float = 2.0) -> LinkSettings:
    """A link over the proxy that finds a silent other side soon."""
    return LinkSettings(
        "127.0.0.1",
        proxy.port,
        connect_timeout_s=connect_timeout_s,
        ping_after_s=dead_after_s / 3,
        dead_after_s=dead_after_s,
    )


async def add(hub: Hub, count: int, start: int = 0, **options: Any) -> list[str]:
    return await hub.enqueue("readings", [NewJob(data=encode(n), **options) for n in range(start, start + count)])


async def too_large(hub: Hub) -> str:
    """A job that a hub with a wider bound has taken."""
    odd = NewJob(data=encode("x" * (MAX_DATA_BYTES + 1)))
    (id,) = await hub.run(lambda tx: enqueue(tx, "readings", [odd]))
    return id


async def data_there(there: LinkSettings) -> list[Any]:
    return [decode(job.data) for job in await central.hand_out(there, "readings")]


async def test_jobs_arrive_in_order_and_are_complete_here(hub: Hub, there: LinkSettings) -> None:
    await add(hub, 250)
    watched = Watched(hub, there)
    async with watched.forwarder:
        await watched.until(lambda: watched.forwarded == 250)
        counts = await hub.counts("readings")
        assert (counts.completed, counts.waiting, counts.active) == (250, 0, 0)
    assert await data_there(there) == list(range(250))
    assert watched.link == ["up"]


async def test_jobs_that_come_later_are_forwarded_as_they_come(hub: Hub, there: LinkSettings) -> None:
    watched = Watched(hub, there)
    async with watched.forwarder:
        for n in range(5):
            await add(hub, 1, n)
            await watched.until(lambda: watched.forwarded == n + 1)  # noqa: B023
    assert await data_there(there) == list(range(5))


async def test_a_higher_priority_goes_first_and_keeps_its_priority(hub: Hub, there: LinkSettings) -> None:
    await add(hub, 3)
    await add(hub, 3, 100, priority=5)
    watched = Watched(hub, there, batch=2)
    async with watched.forwarder:
        await watched.until(lambda: watched.forwarded == 6)
    assert next(event.ids for event in watched.events if isinstance(event, Forwarded))[0].endswith("-4")
    assert [(job.priority, decode(job.data)) for job in await central.hand_out(there, "readings")] == (
        [(5, 100), (5, 101), (5, 102), (0, 0), (0, 1), (0, 2)]
    )


@pytest.mark.parametrize("outage", [Uplink.REFUSE, Uplink.SILENT, Uplink.MUTE])
async def test_an_outage_counts_nothing_and_ends_by_itself(
    hub: Hub, there: LinkSettings, uplink: Proxy, outage: Uplink
) -> None:
    watched = Watched(hub, link_to(uplink, connect_timeout_s=0.3), batch=10)
    async with watched.forwarder:
        await add(hub, 20)
        await watched.until(lambda: watched.forwarded == 20)
        await uplink.set(outage)
        if outage is Uplink.REFUSE:
            uplink.cut()
        await add(hub, 200, 20)
        await watched.until(lambda: watched.link[-1] == "down")
        await uplink.set(Uplink.PASS)
        await watched.until(lambda: watched.forwarded == 220)
        counts = await hub.counts("readings")
        assert (counts.completed, counts.failed, counts.waiting, counts.active) == (220, 0, 0, 0)
        done = await hub.list_jobs("readings", [State.COMPLETED], limit=1000)
        assert {(job.attempts, job.stall_count, job.lost_count) for job in done.jobs} == {(0, 0, 0)}
    assert await data_there(there) == list(range(220))


async def test_a_job_that_the_other_side_refuses_is_dead_here_with_the_reason(hub: Hub, there: LinkSettings) -> None:
    await add(hub, 5)
    odd = await too_large(hub)
    await add(hub, 5, 5)
    watched = Watched(hub, there)
    async with watched.forwarder:
        await watched.until(lambda: watched.forwarded == 10)
        dead = await hub.list_jobs("readings", [State.FAILED])
        assert [job.id for job in dead.jobs] == [odd]
        assert dead.jobs[0].history.reason == "rejected"
        assert "too large" in str(dead.jobs[0].history.error)
        status = await watched.forwarder.status()
        assert (status.forwarded, status.rejected, status.link) == (10, 1, LinkState.UP)
    refused = [event for event in watched.events if isinstance(event, Refused)]
    assert [event.id for event in refused] == [odd]
    assert await data_there(there) == list(range(10))


async def test_p6_a_job_that_finished_there_before_its_answer_was_heard_runs_once(hub: Hub, tmp_path: Path) -> None:
    async with central.serve("hubqueue", tmp_path) as there, Proxy(there.port) as uplink:
        watched = Watched(hub, link_to(uplink, connect_timeout_s=0.3))
        async with watched.forwarder:
            await add(hub, 1)
            await watched.until(lambda: watched.forwarded == 1)
            await uplink.set(Uplink.MUTE)
            await add(hub, 5, 1)
            arrived: list[Any] = []
            async with in_time():
                while len(arrived) < 6:
                    arrived += await data_there(there)
            assert arrived == list(range(6))
            assert watched.forwarded == 1
            await uplink.set(Uplink.PASS)
            await watched.until(lambda: watched.forwarded == 6)
        counts = await central.counts(there, "readings")
        assert (counts["completed"], counts["waiting"]) == (6, 0)


async def test_the_queue_of_a_hub_far_away_is_forwarded_too_although_its_link_breaks(hub: Hub, tmp_path: Path) -> None:
    near = TcpServer(context_of(hub), TcpSettings(port=0, drain_s=0.5))
    await near.start()
    async with central.serve("hubqueue", tmp_path) as there, Proxy(near.port) as wire:
        await add(hub, 300)
        link = LinkSettings("127.0.0.1", wire.port, ping_after_s=0.1, dead_after_s=0.3, backoff_first_s=0.02)
        async with RemoteHub(link) as remote:
            watched = Watched(hub, there, local=remote, batch=10)
            async with watched.forwarder:
                for number in range(1, 6):
                    await watched.until(lambda: watched.forwarded >= number * 40)  # noqa: B023
                    wire.cut()
                await watched.until(lambda: watched.forwarded == 300)
        done = await hub.counts("readings")
        assert (done.completed, done.failed) == (300, 0)
        assert sorted(await data_there(there)) == list(range(300))
    await near.close()


async def test_a_wrong_token_is_an_alert_and_no_dead_letter(hub: Hub, kind: central.Kind, tmp_path: Path) -> None:
    async with central.serve(kind, tmp_path, token="right") as there:
        await add(hub, 3)
        watched = Watched(hub, replace(there, token="wrong"))
        async with watched.forwarder:
            status = await watched.shows(lambda status: status.error is not None)
            assert (status.link, status.reason, status.alert) == (LinkState.DOWN, "auth", True)
            assert "wrong" not in str(status)
            assert (await hub.counts("readings")).failed == 0
            assert status.waiting == 3


async def test_status_tells_how_far_it_is_behind(hub: Hub, uplink: Proxy) -> None:
    await uplink.set(Uplink.REFUSE)
    await add(hub, 3)
    await add(hub, 2, priority=1)
    await add(hub, 1, delay_ms=60_000)
    watched = Watched(hub, link_to(uplink))
    async with watched.forwarder:
        status = await watched.shows(lambda status: status.error is not None)
    assert (status.waiting, status.delayed, status.link) == (5, 1, LinkState.DOWN)
    assert status.reason == "unreachable"
    assert status.alert is False
    assert status.oldest_ms is not None
    assert 0 <= status.oldest_ms < 60_000
    assert status.retry_in_s is not None


async def test_a_stop_gives_back_what_could_not_arrive(hub: Hub, there: LinkSettings, uplink: Proxy) -> None:
    watched = Watched(hub, link_to(uplink, dead_after_s=20), write_timeout_s=20, stop_grace_s=0.05)
    watched.forwarder.start()
    await add(hub, 1)
    await watched.until(lambda: watched.forwarded == 1)
    uplink.delay_s = 5.0
    await add(hub, 10, 1)
    await watched.shows(lambda status: status.in_flight == 10)
    await watched.forwarder.stop()
    counts = await hub.counts("readings")
    assert (counts.waiting, counts.active, counts.completed) == (10, 0, 1)


async def test_a_stop_lets_a_batch_under_way_arrive(hub: Hub, there: LinkSettings, uplink: Proxy) -> None:
    link = link_to(uplink, dead_after_s=PATIENCE_S)  # no ping: what passes is the batch
    watched = Watched(hub, link, write_timeout_s=PATIENCE_S, stop_grace_s=PATIENCE_S)
    watched.forwarder.start()
    await add(hub, 1)
    await watched.until(lambda: watched.forwarded == 1)
    uplink.delay_s = 0.1
    sent = uplink.passed_up
    await add(hub, 10, 1)
    await uplink.wait_passed_up(sent + 1)  # what is leased and not sent yet would be given back
    await watched.forwarder.stop()
    counts = await hub.counts("readings")
    assert (counts.waiting, counts.active, counts.completed) == (0, 0, 11)


async def test_leases_are_extended_while_a_batch_is_under_way(hub: Hub, there: LinkSettings, uplink: Proxy) -> None:
    watched = Watched(hub, link_to(uplink, dead_after_s=20), write_timeout_s=20, lease_ms=1000)
    async with watched.forwarder:
        await add(hub, 1)
        await watched.until(lambda: watched.forwarded == 1)
        uplink.delay_s = 1.5
        await add(hub, 5, 1)
        await watched.until(lambda: watched.forwarded == 6)
    done = await hub.list_jobs("readings", [State.COMPLETED])
    assert [job.stall_count for job in done.jobs] == [0] * 6


async def test_the_rate_limit_holds(hub: Hub, there: LinkSettings) -> None:
    await add(hub, 60)
    watched = Watched(hub, there, rate_per_s=40.0)
    began_s = asyncio.get_running_loop().time()
    async with watched.forwarder:
        await watched.until(lambda: watched.forwarded == 60)
    assert asyncio.get_running_loop().time() - began_s >= 0.45


async def test_several_lanes_forward_every_job_once(hub: Hub, there: LinkSettings) -> None:
    await add(hub, 500)
    watched = Watched(hub, there, concurrency=4, batch=20)
    async with watched.forwarder:
        await watched.until(lambda: watched.forwarded == 500)
    assert sorted(await data_there(there)) == list(range(500))


async def test_what_was_forwarded_can_be_removed_at_once(hub: Hub, there: LinkSettings) -> None:
    await add(hub, 10)
    watched = Watched(hub, there, remove=True)
    async with watched.forwarder:
        await watched.until(lambda: watched.forwarded == 10)
    assert (await hub.counts("readings")).completed == 0


async def test_a_listener_that_fails_stops_nothing(hub: Hub, there: LinkSettings) -> None:
    await add(hub, 3)
    watched = Watched(hub, there)

    def fail(event: Event) -> None:
        raise RuntimeError("a guest misbehaves")

    watched.forwarder.listen(fail)
    async with watched.forwarder:
        await watched.until(lambda: watched.forwarded == 3)
