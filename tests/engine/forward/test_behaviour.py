"""One suite over every sink, with the real server: nothing is lost, no attempt is used up, one odd job stops nobody.

A kind of destination is plugged in by a `Place` in PLACES. Where a place does not know a job that is sent again, what
docs/forwarding.md says of it is checked instead: at least once, and only what was under way comes twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from hubqueue.forward.breaker import LinkState
from hubqueue.forward.forwarder import Forwarder
from hubqueue.forward.status import Event, ForwardStatus, LinkChanged, Refused
from hubqueue.hub.hub import Hub
from hubqueue.hub.verbs.enqueue import enqueue
from hubqueue.model.job import NewJob
from hubqueue.model.state import State
from support import onward
from support.places.http import HttpPlace, in_batches
from support.places.hub import HubPlace
from support.places.influxdb import InfluxPlace
from support.places.kafka import KafkaPlace
from support.places.mosquitto import MosquittoPlace
from support.places.place import QUEUE, Place, reading
from support.places.postgres import PostgresPlace, timescale
from support.proxy import Proxy, Uplink
from support.waiting import until

PLACES: Final[dict[str, Callable[[Path], Place]]] = {
    "hub": HubPlace,
    "http": HttpPlace,
    "http-batch": in_batches,
    "influx": InfluxPlace,
    "mqtt": MosquittoPlace,
    "kafka": KafkaPlace,
    "postgres": PostgresPlace,
    "timescale": timescale,
}
ONCE: Final = {"timescale"}  # the code of another place with another server: enough on one Python
BATCH: Final = 20
QUICK: Final = {"batch": BATCH, "backoff": "20ms", "backoff_cap": "200ms"}


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.slow] if name in ONCE else []) for name in PLACES])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    place = PLACES[request.param](tmp_path / "there")
    yield place
    await place.close()


@pytest.fixture
async def proxy(place: Place) -> AsyncIterator[Proxy]:
    async with Proxy(place.port) as proxy:
        place.public_port = proxy.port
        yield proxy


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with await Hub.open(tmp_path / "edge.db") as hub:
        yield hub


class Run:
    """A forwarder and what it told."""

    def __init__(self, hub: Hub, way: dict[str, Any], *, unknown_cap: int = 8, **keys: Any) -> None:
        self.hub = hub
        self.forwarder: Forwarder = onward.forwarder_of(hub, QUEUE, {**QUICK, **way, **keys}, unknown_cap=unknown_cap)
        self.events: list[Event] = []
        self.forwarder.listen(self.events.append)

    async def __aenter__(self) -> Run:
        self.forwarder.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.forwarder.stop()

    @property
    def refused(self) -> list[str]:
        return [event.id for event in self.events if isinstance(event, Refused)]

    @property
    def reasons(self) -> list[str]:
        return [event.rejected.reason for event in self.events if isinstance(event, Refused)]

    @property
    def downs(self) -> list[str]:
        return [event.down.reason.value for event in self.events if isinstance(event, LinkChanged) and event.down]

    async def is_down(self, *reasons: str) -> None:
        await until(lambda: any(reason in self.downs for reason in reasons))

    async def shows(self, condition: Callable[[ForwardStatus], bool]) -> None:
        async def held() -> bool:
            return condition(await self.forwarder.status())

        await until(held)

    async def through(self) -> None:
        """Until no job is left to forward."""

        async def over() -> bool:
            counts = await self.hub.counts(QUEUE)
            return not counts.waiting + counts.delayed + counts.active

        await until(over)


async def add(hub: Hub, numbers: range) -> list[str]:
    return await hub.enqueue(QUEUE, [NewJob(data=msgspec.msgpack.encode(reading(n))) for n in numbers])


async def add_poison(hub: Hub, place: Place) -> str:
    """A job that only a hub with wider bounds would have taken."""
    (id,) = await hub.run(lambda tx: enqueue(tx, QUEUE, [place.poison()]))
    return id


async def all_there(place: Place, count: int) -> None:
    """Each of so many jobs is there; once, where the place knows a job that is sent again."""
    there = await place.arrived()
    assert sorted(set(there)) == list(range(count))
    if place.knows:
        assert len(there) == count


async def nothing_burnt(hub: Hub, completed: int, failed: int = 0) -> None:
    """No job that arrived has used up a second attempt, and none is dead that should not be."""
    counts = await hub.counts(QUEUE)
    assert (counts.completed, counts.failed) == (completed, failed)
    page = await hub.list_jobs(QUEUE, (State.COMPLETED,), limit=1000)
    assert {job.attempts for job in page.jobs} <= {0}


async def test_what_waits_goes_once_the_other_side_is_there(place: Place, proxy: Proxy, hub: Hub) -> None:
    await proxy.set(Uplink.REFUSE)
    await add(hub, range(50))
    async with Run(hub, place.way()) as run:
        await run.is_down("unreachable")
        assert (await hub.counts(QUEUE)).completed == 0
        await place.start()
        await proxy.set(Uplink.PASS)
        await run.through()
    await all_there(place, 50)
    await nothing_burnt(hub, 50)


async def test_jobs_arrive_in_their_order(place: Place, proxy: Proxy, hub: Hub) -> None:
    await place.start()
    await add(hub, range(200))
    async with Run(hub, place.way()) as run:
        await run.through()
    there = await place.arrived()
    assert (there if place.ordered else sorted(there)) == list(range(200))


async def test_a_link_that_is_cut_in_mid_batch_costs_nothing(place: Place, proxy: Proxy, hub: Hub) -> None:
    await place.start()
    await add(hub, range(20))
    async with Run(hub, place.way()) as run:
        await run.through()
        per_batch, connections = proxy.passed_up, proxy.accepted
        for start in range(20, 120, 20):
            proxy.cut_after(up=per_batch // 2)
            await add(hub, range(start, start + 20))
            await run.through()
    assert proxy.accepted > connections  # whether the client told us of it or came back by itself
    await all_there(place, 120)
    await nothing_burnt(hub, 120)


async def test_an_answer_that_is_lost_costs_nothing(place: Place, proxy: Proxy, hub: Hub) -> None:
    await place.start()
    await add(hub, range(20))
    async with Run(hub, place.way()) as run:
        await run.through()
        for start in (20, 40, 60):
            swallowed = proxy.swallowed
            await proxy.set(Uplink.MUTE)
            await add(hub, range(start, start + 20))
            await proxy.wait_swallowed(swallowed + 1)
            await proxy.set(Uplink.PASS)
            proxy.cut()
            await run.through()
    await all_there(place, 80)
    await nothing_burnt(hub, 80)


async def test_an_other_side_that_accepts_and_is_silent_is_left(place: Place, proxy: Proxy, hub: Hub) -> None:
    await place.start()
    await add(hub, range(20))
    async with Run(hub, place.way(), write_timeout="500ms") as run:
        await run.through()
        await proxy.set(Uplink.SILENT)
        await add(hub, range(20, 60))
        await run.is_down("timeout", "unreachable")
        await proxy.set(Uplink.PASS)
        proxy.cut()
        await run.through()
    await all_there(place, 60)
    await nothing_burnt(hub, 60)


async def test_a_slow_link_is_waited_for(place: Place, proxy: Proxy, hub: Hub) -> None:
    await place.start()
    proxy.delay_s = 0.03
    await add(hub, range(40))
    async with Run(hub, place.way()) as run:
        await run.through()
    assert run.downs == []
    await all_there(place, 40)
    await nothing_burnt(hub, 40)


async def test_one_odd_job_of_a_batch_is_refused_alone(place: Place, proxy: Proxy, hub: Hub) -> None:
    await place.start()
    await add(hub, range(7))
    odd = await add_poison(hub, place)
    await add(hub, range(7, BATCH + 5))
    async with Run(hub, place.way()) as run:
        await run.through()
    assert run.refused == [odd]
    assert all(run.reasons)
    assert run.downs == []
    there = await place.arrived()
    assert (there if place.ordered else sorted(there)) == list(range(BATCH + 5))
    await nothing_burnt(hub, BATCH + 5, failed=1)


async def test_a_batch_of_odd_jobs_is_refused_and_the_link_stays_up(place: Place, proxy: Proxy, hub: Hub) -> None:
    await place.start()
    odd = [await add_poison(hub, place) for _ in range(8)]
    async with Run(hub, place.way()) as run:
        await run.through()
        await run.shows(lambda status: status.link is LinkState.UP)
        await add(hub, range(3))
        await run.through()
    assert sorted(run.refused) == sorted(odd)
    assert run.downs == []
    await all_there(place, 3)
    await nothing_burnt(hub, 3, failed=8)


async def test_a_wrong_secret_refuses_no_job(place: Place, proxy: Proxy, hub: Hub) -> None:
    await place.start()
    await add(hub, range(30))
    async with Run(hub, place.way(stranger=True)) as run:
        await run.is_down("auth")
        status = await run.forwarder.status()
        assert status.alert
        assert (status.rejected, status.forwarded) == (0, 0)
    assert (await hub.counts(QUEUE)).waiting == 30
    async with Run(hub, place.way()) as run:
        await run.through()
    await all_there(place, 30)
    await nothing_burnt(hub, 30)


async def test_a_restart_of_the_other_side_in_the_middle_loses_nothing(place: Place, proxy: Proxy, hub: Hub) -> None:
    await place.start()
    await add(hub, range(200))
    async with Run(hub, place.way(), rate_per_s=200) as run:
        for start in (200, 300):
            enough, downs = (await run.forwarder.status()).forwarded + 50, len(run.downs)
            await run.shows(lambda status, enough=enough: status.forwarded >= enough)
            await place.kill()
            await add(hub, range(start, start + 100))
            await until(lambda downs=downs: len(run.downs) > downs)
            await place.start()
        await run.through()
    await all_there(place, 400)
    await nothing_burnt(hub, 400)


async def test_a_forwarder_that_is_killed_in_the_middle_loses_nothing(
    place: Place, proxy: Proxy, tmp_path: Path
) -> None:
    await place.start()
    file = tmp_path / "killed.db"
    async with await Hub.open(file) as hub:
        await add(hub, range(400))
    keys = {**QUICK, **place.way(), "rate_per_s": 20}  # 20 s for all: the kill comes before, on whatever machine
    async with onward.running(file, QUEUE, keys) as process:
        await proxy.wait_passed_up(2000)
        process.kill()
        await process.wait()
    async with await Hub.open(file) as hub:
        assert (await hub.counts(QUEUE)).completed < 400
        async with Run(hub, place.way()) as run:
            await run.through()
        await nothing_burnt(hub, 400)
    await all_there(place, 400)
    assert len(await place.arrived()) - 400 <= BATCH


MARK: Final = "makes-it-hang-up"


async def add_mark(hub: Hub, n: int) -> str:
    """A job that the place would take, and that something on the way does not let pass."""
    (id,) = await hub.enqueue(QUEUE, [NewJob(data=msgspec.msgpack.encode(reading(n) | {"device": MARK}))])
    return id


def plain_way(place: Place, **keys: Any) -> dict[str, Any]:
    """As the place has it, with nothing compressed."""
    way = place.way()
    way.get("http", {}).pop("gzip", None)
    return {**way, **keys}


async def test_a_job_that_breaks_the_link_is_given_up_alone(place: Place, proxy: Proxy, hub: Hub) -> None:
    await place.start()
    proxy.hangs_up_on = MARK.encode()
    await add(hub, range(5))
    odd = await add_mark(hub, 99)
    await add(hub, range(5, 10))
    async with Run(hub, plain_way(place, write_timeout="1s"), unknown_cap=4) as run:
        await run.through()
        await run.shows(lambda status: status.link is LinkState.UP and not status.alert)
    assert run.refused == [odd]
    assert odd in run.reasons[0]
    there = await place.arrived()
    assert (list(dict.fromkeys(there)) if place.ordered else sorted(set(there))) == list(range(10))
    await nothing_burnt(hub, 10, failed=1)
    assert len(run.downs) <= 10
