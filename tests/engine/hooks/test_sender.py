"""Webhooks from the event to the receiver: a real hub, a real HTTP server, real retries."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from hubqueue.client.local import LocalHub
from hubqueue.errors import Draining
from hubqueue.hooks.post import Refused, Resolver
from hubqueue.hooks.sender import Sender
from hubqueue.hub.settings import HubSettings
from hubqueue.model.job import NewJob, Options
from hubqueue.model.outcome import Complete, Fail, Settlement
from hubqueue.model.state import State
from hubqueue.model.webhook import QUEUE, Guard, Webhook
from support.receiver import Receiver, receiver
from support.waiting import until

SETTINGS = HubSettings(webhook_hosts=("127.0.0.0/8",))


@pytest.fixture
async def target() -> AsyncIterator[Receiver]:
    async with receiver() as found:
        yield found


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[LocalHub]:
    async with await LocalHub.open(tmp_path / "hub.db", SETTINGS) as hub:
        yield hub


@pytest.fixture
async def sender(hub: LocalHub) -> AsyncIterator[Sender]:
    sender = Sender(hub)
    await sender.start()
    yield sender
    await sender.close()


async def add(hub: LocalHub, url: str, *events: str, queue: str | None = "q", secret: str | None = None) -> Webhook:
    return await hub.run(lambda tx: hub.webhooks.add(tx, url, events, queue, secret))


async def push(hub: LocalHub, queue: str = "q") -> str:
    (id,) = await hub.enqueue(queue, [NewJob(name="n", data=msgspec.msgpack.encode({"t": 21.5}), max_attempts=1)])
    return id


async def waiting_count(hub: LocalHub) -> int:
    counts = await hub.counts(QUEUE)
    return counts.waiting + counts.delayed + counts.active


async def test_every_event_arrives_with_its_facts_and_a_signature(
    hub: LocalHub, sender: Sender, target: Receiver
) -> None:
    names = ("job.pushed", "job.started", "job.progress", "job.completed", "job.failed")
    await add(hub, target.url, *names, secret="s3")
    first, second = await push(hub), await push(hub)
    leased = await hub.lease("q", 2, owner="w")
    await hub.progress(first, leased[0].token, 40)
    await hub.settle([Settlement(first, leased[0].token, Complete(msgspec.msgpack.encode([1, b"\xff"])))])
    await hub.settle([Settlement(second, leased[1].token, Fail("broken"))])
    await until(lambda: len(target.bodies) == 7)
    told = {(message["event"], message["jobId"]): message for message in target.messages}
    assert told["job.pushed", first]["queue"] == "q"
    assert ("job.started", second) in told
    assert told["job.progress", first]["progress"] == 40
    assert told["job.completed", first]["data"] == [1, {"$bytes": "/w=="}]
    assert (told["job.failed", second]["error"], told["job.failed", second]["data"]) == ("broken", {"t": 21.5})
    for content, headers, message in zip(target.bodies, target.headers, target.messages, strict=True):
        assert headers["X-Webhook-Event"] == message["event"]
        assert headers["X-Webhook-Timestamp"] == str(message["timestamp"])
        assert headers["X-Webhook-Signature"] == hmac.new(b"s3", content, hashlib.sha256).hexdigest()


async def test_an_expired_job_is_told_of_where_that_was_asked_for(
    hub: LocalHub, sender: Sender, target: Receiver
) -> None:
    await add(hub, target.url, "job.expired")
    data = msgspec.msgpack.encode("too late")
    (late,) = await hub.enqueue("q", [NewJob(name="n", data=data, created_at_ms=1, options=Options(ttl_ms=1))])
    await until(lambda: len(target.bodies) == 1)
    (told,) = target.messages
    assert (told["event"], told["jobId"], told["queue"], told["data"]) == ("job.expired", late, "q", "too late")


async def test_a_receiver_that_fails_is_asked_again(hub: LocalHub, sender: Sender, target: Receiver) -> None:
    await add(hub, target.url, "job.pushed")
    target.statuses = [503]
    await push(hub)
    await until(lambda: len(target.bodies) == 2)
    assert target.bodies[0] == target.bodies[1]

    async def settled() -> bool:
        return await waiting_count(hub) == 0

    await until(settled)
    (sent,) = await hub.run(hub.webhooks.every)
    assert (sent.succeeded, sent.failed) == (1, 1)
    assert sent.triggered_at_ms is not None


async def test_a_redirect_is_not_followed(hub: LocalHub, sender: Sender, target: Receiver) -> None:
    await add(hub, target.url, "job.pushed")
    target.statuses = [302]
    await push(hub)
    await until(lambda: len(target.bodies) == 2)  # the second is the retry, to the same place
    (sent,) = await hub.run(hub.webhooks.every)
    assert sent.failed == 1


async def test_only_what_was_asked_for_is_sent(hub: LocalHub, sender: Sender, target: Receiver) -> None:
    webhook = await add(hub, target.url, "job.completed")
    everywhere = await add(hub, target.url + "/all", "job.pushed", queue=None)
    await push(hub, "other")
    await push(hub)
    await until(lambda: len(target.bodies) == 2)
    assert {message["queue"] for message in target.messages} == {"q", "other"}
    await hub.run(lambda tx: hub.webhooks.enable(tx, everywhere.id, enabled=False))
    await push(hub)
    await hub.run(lambda tx: hub.webhooks.remove(tx, webhook.id))
    assert not hub.store.tx.watched("q")
    assert await waiting_count(hub) == 0


async def test_a_delivery_is_committed_with_its_event_and_survives_a_restart(tmp_path: Path, target: Receiver) -> None:
    async with await LocalHub.open(tmp_path / "restart.db", SETTINGS) as hub:
        await add(hub, target.url, "job.pushed")
        id = await push(hub)
    async with await LocalHub.open(tmp_path / "restart.db", SETTINGS) as hub:
        sender = Sender(hub)
        await sender.start()
        await until(lambda: bool(target.bodies))
        assert target.messages[0]["jobId"] == id
        await push(hub)
        await until(lambda: len(target.bodies) == 2)
        await sender.close()


async def test_what_is_no_longer_allowed_is_not_sent(tmp_path: Path, target: Receiver) -> None:
    port = target.url.split(":")[2]
    async with await LocalHub.open(tmp_path / "ssrf.db", HubSettings(webhook_hosts=("localhost",))) as hub:
        await add(hub, f"http://localhost:{port}", "job.pushed")
        await push(hub)
    async with await LocalHub.open(tmp_path / "ssrf.db", HubSettings(webhook_hosts=())) as hub:
        sender = Sender(hub)
        await sender.start()

        async def dead() -> bool:
            return (await hub.counts(QUEUE)).failed == 1

        await until(dead)
        (job,) = (await hub.list_jobs(QUEUE, (State.FAILED,))).jobs
        assert "cannot point to localhost" in (job.history.error or "")
        assert job.history.reason == "rejected"
        await sender.close()
    assert target.bodies == []


async def test_a_name_that_resolves_to_an_address_in_the_house_is_not_connected_to() -> None:
    with pytest.raises(Refused, match="cannot point to localhost"):
        await Resolver(Guard()).resolve("localhost", 80)
    (found, *_) = await Resolver(Guard(["localhost"])).resolve("localhost", 80)
    assert found["host"] == "127.0.0.1"
    (found, *_) = await Resolver(Guard(["127.0.0.0/8"])).resolve("localhost", 80)
    assert (found["host"], found["port"]) == ("127.0.0.1", 80)


async def test_data_that_is_too_large_for_a_message_is_left_out(
    hub: LocalHub, sender: Sender, target: Receiver
) -> None:
    await add(hub, target.url, "job.completed")
    id = await push(hub)
    (leased,) = await hub.lease("q", owner="w")
    await hub.settle([Settlement(id, leased.token, Complete(msgspec.msgpack.encode(bytes(2**20))))])
    await until(lambda: bool(target.bodies))
    assert set(target.messages[0]) == {"event", "timestamp", "jobId", "queue"}


async def test_what_is_no_delivery_becomes_a_dead_letter(hub: LocalHub, sender: Sender) -> None:
    await hub.enqueue(QUEUE, [NewJob(name="n", data=b"\xc1")])

    async def dead() -> bool:
        return (await hub.counts(QUEUE)).failed == 1

    await until(dead)


async def test_a_stopped_sender_leaves_its_deliveries_to_the_next(hub: LocalHub, target: Receiver) -> None:
    await add(hub, target.url, "job.pushed")
    first = Sender(hub)
    await first.start()
    await first.close()
    await push(hub)
    assert await waiting_count(hub) == 1
    second = Sender(hub)
    await second.start()
    await until(lambda: len(target.bodies) == 1)
    await second.close()


async def test_a_draining_hub_still_writes_deliveries_down(hub: LocalHub, target: Receiver) -> None:
    await add(hub, target.url, "job.completed")
    id = await push(hub)
    (leased,) = await hub.lease("q", owner="w")
    hub.drain_off()
    await hub.settle([Settlement(id, leased.token, Complete())])
    with pytest.raises(Draining):
        await push(hub)
    assert await waiting_count(hub) == 1
