"""Forwarders made, changed, paused and removed while a real hub runs, towards real hubs over TCP and TLS."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hubqueue.client.address import LinkSettings
from hubqueue.client.session import Session
from hubqueue.errors import Draining, Duplicate, HubqueueError, Invalid, NotFound, WrongState
from hubqueue.forward.breaker import LinkState
from hubqueue.forward.forwarders import Forwarders
from hubqueue.forward.plan import Plan, plan_of
from hubqueue.forward.verdict import Down
from hubqueue.hub import forwarders
from hubqueue.hub.hub import Hub
from hubqueue.model.forwarding import MAX_FORWARDERS, SECRETS, ForwardSpec
from hubqueue.model.hours import Hours
from hubqueue.model.job import NewJob
from hubqueue.model.limits import MAX_DATA_BYTES
from support.certificates import make
from support.fleet import Edge, Watch, arrived
from support.ports import free_port
from support.proxy import Proxy, Uplink
from support.served import Served, served
from support.waiting import until

encode, decode = msgspec.msgpack.encode, msgspec.msgpack.decode


async def test_a_forwarder_is_made_while_the_hub_runs_and_removed_again(edge: Edge, served_hub: Served) -> None:
    await edge.add(10)
    await edge.put(served_hub.url, target="site-7")
    status = await edge.shows(lambda status: status.now.forwarded == 10)
    assert (status.plan.declared, status.now.link, status.now.waiting) == ("runtime", LinkState.UP, 0)
    assert await arrived(served_hub, "site-7") == list(range(10))
    assert edge.hub.history.uplinks == {"readings"}
    await edge.fleet.delete("up")
    assert edge.hub.history.uplinks == set()
    await edge.add(3)
    assert await edge.fleet.statuses() == []
    counts = await edge.hub.counts("readings")
    assert (counts.waiting, counts.completed) == (3, 10)
    assert await edge.hub.run(forwarders.every) == []


async def test_put_replace_and_delete_under_load_lose_and_double_nothing(
    edge: Edge, served_hub: Served, tmp_path: Path
) -> None:
    total = 3000
    producing = asyncio.create_task(_produce(edge, total))
    async with Proxy(served_hub.port) as proxy:
        for turn in range(12):
            to = served_hub.url if turn % 3 else f"tcp://127.0.0.1:{proxy.port}"
            await edge.put(to, batch=1 + turn * 7, concurrency=1 + turn % 4)
            seen = (await edge.status()).now.forwarded
            await edge.shows(lambda status, seen=seen: status.now.forwarded > seen or status.now.waiting == 0)  # type: ignore[misc]
            if turn % 3 == 0:
                proxy.cut()
            if turn % 4 == 3:
                await edge.fleet.delete("up")
        await producing
        await edge.put(served_hub.url)
        await edge.shows(lambda status: not status.now.waiting + status.now.in_flight)
    counts = await edge.hub.counts("readings")
    assert (counts.completed, counts.waiting, counts.active, counts.failed) == (total, 0, 0, 0)
    got: Counter[int] = Counter()
    while jobs := await served_hub.hub.lease("readings", 1000, owner="test"):
        got.update(decode(leased.job.data or b"") for leased in jobs)
    assert got == Counter(range(total))


async def _produce(edge: Edge, total: int) -> None:
    for start in range(0, total, 50):
        await edge.add(50, start)
        await asyncio.sleep(0.01)


async def test_a_pause_holds_over_a_restart_whoever_declared_the_forwarder(tmp_path: Path, served_hub: Served) -> None:
    declared = [_plan("site", "sites", served_hub.url)]
    for run in range(3):
        async with await Hub.open(tmp_path / "edge.db") as hub:
            fleet = Forwarders(hub, declared, grace_s=1.0)
            await fleet.start()
            edge = Edge(hub, fleet)
            if run == 0:
                await edge.put(served_hub.url)
                for name in ("up", "site"):
                    await fleet.pause(name, paused=True)
                await edge.add(2)
                await edge.add(2, queue="sites")
            for name in ("up", "site"):
                status = await edge.shows(lambda status: status.now.link is LinkState.IDLE, name)
                assert (status.paused, status.now.reason, status.now.waiting) == (True, "paused", 2)
            if run == 2:
                for name in ("up", "site"):
                    await fleet.pause(name, paused=False)
                    await edge.shows(lambda status: status.now.forwarded == 2, name)
            await fleet.stop()
    async with await Hub.open(tmp_path / "edge.db") as hub:
        assert [(kept.name, kept.paused) for kept in await hub.run(forwarders.every)] == [("up", False)]


def _plan(name: str, queue: str, to: str, **fields: Any) -> Plan:
    made = plan_of(ForwardSpec(name=name, queue=queue, to=to, **fields), zone=None)
    return Plan(name=name, queue=queue, destination=made.destination, declared="config", settings=made.settings)


async def test_the_pause_of_a_forwarder_that_the_configuration_has_no_more_is_forgotten(tmp_path: Path) -> None:
    async with await Hub.open(tmp_path / "edge.db") as hub:
        fleet = Forwarders(hub, [_plan("site", "sites", "tcp://127.0.0.1:1")], grace_s=0.1)
        await fleet.start()
        await fleet.pause("site", paused=True)
        await fleet.stop()
        await Forwarders(hub, (), grace_s=0.1).start()
        assert await hub.run(forwarders.every) == []


async def test_a_forwarder_of_the_configuration_is_not_changed_at_run_time(tmp_path: Path) -> None:
    async with await Hub.open(tmp_path / "edge.db") as hub:
        fleet = Forwarders(hub, [_plan("site", "sites", "tcp://127.0.0.1:1")], grace_s=0.1)
        await fleet.start()
        with pytest.raises(WrongState, match="declared in the configuration"):
            await fleet.delete("site")
        with pytest.raises(WrongState, match="declared in the configuration"):
            await fleet.put(ForwardSpec(name="site", queue="sites", to="tcp://other"))
        await fleet.stop()


async def test_the_configuration_goes_before_the_job_file(
    tmp_path: Path, served_hub: Served, caplog: pytest.LogCaptureFixture
) -> None:
    async with await Hub.open(tmp_path / "edge.db") as hub:
        await hub.run(lambda tx: forwarders.put(tx, ForwardSpec(name="mine", queue="sites", to="tcp://other")))
        await hub.run(lambda tx: forwarders.put(tx, ForwardSpec(name="broken", queue="b", to="tcp://other", batch=0)))
        fleet = Forwarders(hub, [_plan("site", "sites", served_hub.url)], grace_s=0.1)
        await fleet.start()
        assert [status.plan.name for status in await fleet.statuses()] == ["site"]
        assert "left out" in caplog.text
        assert "forwarder=mine" in caplog.text
        assert "forwarder=broken" in caplog.text
        await fleet.stop()


async def test_a_queue_has_one_forwarder_and_a_name_too(edge: Edge, served_hub: Served) -> None:
    await edge.put(served_hub.url)
    with pytest.raises(Duplicate, match="has a forwarder already: up"):
        await edge.put(served_hub.url, name="second")
    with pytest.raises(NotFound, match="no forwarder 'second'"):
        await edge.fleet.pause("second", paused=True)
    await edge.put(served_hub.url, queue="others")  # the same name: it takes another queue now
    await edge.put(served_hub.url, name="second")
    assert [status.plan.queue for status in await edge.fleet.statuses()] == ["readings", "others"]


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"to": "http://h"}, "goes to a hub, not to http"),
        ({"to": "h"}, "not the address of a hub"),
        ({"to": "tcp://user:pw@h"}, "no user or password"),
        ({"name": "a b"}, "cannot name a forwarder"),
        ({"queue": "a b"}, "invalid characters"),
        ({"target": "a b"}, "invalid characters"),
        ({"batch": 0}, "batch"),
        ({"ca_cert": "x"}, "without encryption"),
        ({"to": "tls://h", "ca_cert": "no certificate"}, "cannot be used"),
        ({"hours": Hours(("never",))}, "not a window"),
        ({"backoff_ms": 500, "backoff_cap_ms": 100}, "backoff_cap_s"),
    ],
)
async def test_what_cannot_be_is_refused_and_not_kept(edge: Edge, fields: dict[str, Any], what: str) -> None:
    with pytest.raises(Invalid, match=what):
        await edge.put(**{"to": "tcp://h", **fields})
    assert await edge.fleet.statuses() == []
    assert await edge.hub.run(forwarders.every) == []


async def test_there_are_not_endlessly_many(edge: Edge) -> None:
    for number in range(MAX_FORWARDERS):
        spec = ForwardSpec(name=f"n{number}", queue=f"q{number}", to="tcp://h")
        await edge.hub.run(lambda tx, spec=spec: forwarders.put(tx, spec))  # type: ignore[misc]
    with pytest.raises(HubqueueError, match="already") as caught:
        await edge.put("tcp://h")
    assert caught.value.code == "busy"


async def test_a_wrong_token_is_told_with_what_to_do_and_a_right_one_lets_the_jobs_go(
    edge: Edge, tmp_path: Path
) -> None:
    files = make(tmp_path, "127.0.0.1")
    async with served(tmp_path / "central.db", tokens=("right",), certificates=files) as there:
        await edge.add(5)
        ca_cert = files.ca.read_text()
        await edge.put(there.url, token="wrong", ca_cert=ca_cert)
        status = await edge.shows(lambda status: status.now.reason == "auth")
        assert status.now.alert
        assert status.trouble is not None
        assert (await edge.hub.counts("readings")).failed == 0
        spec = ForwardSpec(name="up", queue="readings", to=there.url, token="right", backoff_ms=20)
        await edge.fleet.put(spec, keep={"ca_cert"})
        await edge.shows(lambda status: status.now.forwarded == 5)
        assert await arrived(there) == list(range(5))


async def test_the_other_side_is_tried_and_nothing_is_changed(edge: Edge, tmp_path: Path) -> None:
    async def tried(to: str, token: str | None, ca_cert: str | None = None, *keep: str) -> str | None:
        spec = ForwardSpec(name="up", queue="readings", to=to, token=token, ca_cert=ca_cert)
        found = await edge.fleet.test(spec, keep=keep)
        assert found is None or isinstance(found, Down)
        return None if found is None else found.reason.value

    files = make(tmp_path, "127.0.0.1")
    ca = files.ca.read_text()
    async with served(tmp_path / "central.db", tokens=("right",), certificates=files) as there:
        boss = await Session.open(LinkSettings.from_url(there.url, token="right", ca_file=str(files.ca)))
        made = await boss.request("TokenAdd", {"name": "reader", "scopes": ["read"]})
        await boss.close()
        assert await tried(there.url, "right", ca) is None
        for wrong in ("wrong", None, decode(made)["token"]):
            assert await tried(there.url, wrong, ca) == "auth"
        assert await tried(there.url, "right") == "tls"
        assert await tried(there.url.replace("tls", "tcp"), "right") in ("unreachable", "protocol")
        assert await there.hub.queues() == []
        assert await edge.fleet.statuses() == []
        assert await edge.hub.run(forwarders.every) == []
        await edge.put(there.url, token="right", ca_cert=ca)
        assert await tried(there.url, None, None, "token", "ca_cert") is None
        assert await tried(there.url, "wrong", None, "ca_cert") == "auth"
        await edge.shows(lambda status: status.now.link is LinkState.UP)
    assert await tried(f"tcp://127.0.0.1:{free_port()}", None) == "unreachable"
    with pytest.raises(Invalid, match="not to ftp"):
        await tried("ftp://there", None)


async def test_a_secret_stays_for_the_same_address_only(edge: Edge) -> None:
    await edge.put("tcp://127.0.0.1:1", token="secret")
    await edge.fleet.put(ForwardSpec(name="up", queue="readings", to="tcp://127.0.0.1:1", batch=7), keep=SECRETS)
    kept = (await edge.hub.run(forwarders.every))[0].spec
    assert kept is not None
    assert (kept.token, kept.batch) == ("secret", 7)
    assert "secret" not in repr(kept)
    assert "secret" not in repr(await edge.status())
    await edge.fleet.put(ForwardSpec(name="up", queue="readings", to="tcp://127.0.0.1:2"), keep=SECRETS)
    assert not (await edge.status()).plan.destination.has_secret


async def test_subscribers_hear_of_links_and_of_each_job(edge: Edge, served_hub: Served) -> None:
    watch = Watch(edge.hub)
    ids = await edge.add(3)
    async with Proxy(served_hub.port) as proxy:
        await edge.put(f"tcp://127.0.0.1:{proxy.port}")
        await until(lambda: len(watch.of("forwarded")) == 3)
        assert [event.job_id for event in watch.of("forwarded")] == ids
        assert decode(watch.of("forwarded")[0].data or b"") == {"forwarder": "up"}
        await proxy.set(Uplink.REFUSE)
        proxy.cut()
        await until(lambda: watch.links[-1:] == ["down"])
        down = decode(watch.of("forwarder:link")[-1].data or b"")
        assert down == {"forwarder": "up", "link": "down", "reason": "unreachable", "alert": False}
        await proxy.set(Uplink.PASS)
        await edge.add(1)  # without a job to probe with, a link is trusted only when the long-poll has ended
        await until(lambda: watch.links[-1:] == ["up"])
        await edge.fleet.pause("up", paused=True)
        await until(lambda: watch.links[-1:] == ["idle"])


async def test_a_job_that_is_refused_is_told_with_its_reason(edge: Edge, served_hub: Served) -> None:
    from hubqueue.hub.verbs.enqueue import enqueue

    watch = Watch(edge.hub)
    odd = NewJob(data=encode("x" * (MAX_DATA_BYTES + 1)))
    (id,) = await edge.hub.run(lambda tx: enqueue(tx, "readings", [odd]))
    await edge.put(served_hub.url)
    await until(lambda: bool(watch.of("rejected")))
    (event,) = watch.of("rejected")
    assert (event.job_id, bool(event.error)) == (id, True)
    assert (await edge.status()).now.rejected == 1


async def test_a_change_goes_on_when_its_caller_is_gone(edge: Edge, served_hub: Served) -> None:
    async with Proxy(served_hub.port) as proxy:
        await edge.add(1)
        await edge.put(f"tcp://127.0.0.1:{proxy.port}")
        await edge.shows(lambda status: status.now.forwarded == 1)
        await proxy.set(Uplink.MUTE)
        await edge.add(1, 1)
        await edge.shows(lambda status: status.now.in_flight == 1)
        asking = asyncio.create_task(edge.put(served_hub.url))  # has to wait for the batch in flight
        await until(lambda: bool(edge.fleet._changes))
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await edge.shows(lambda status: status.plan.destination.url == served_hub.url and status.now.forwarded == 1)
    assert sorted(await arrived(served_hub)) == [0, 1]


async def test_after_the_stop_nothing_is_changed(edge: Edge) -> None:
    await edge.fleet.stop()
    with pytest.raises(Draining):
        await edge.put("tcp://h")
    assert await edge.hub.run(forwarders.every) == []
