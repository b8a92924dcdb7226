"""Messages of `_unroutable` go through today's rules and sources again: nothing lost, nothing doubled."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hubqueue.admin.router import router_of
from hubqueue.client.local import LocalHub
from hubqueue.config.load import load
from hubqueue.errors import WrongState
from hubqueue.hub.settings import HubSettings
from hubqueue.hub.verbs.ingest import UNROUTABLE, intake
from hubqueue.hub.verbs.overflow import OVERFLOW
from hubqueue.ingest.into import Into
from hubqueue.ingest.outcome import Refused, Taken
from hubqueue.model.bounds import QueueBounds
from hubqueue.model.job import Job
from hubqueue.model.limits import MAX_KEPT_BYTES
from hubqueue.model.state import State
from hubqueue.model.verbs import Retried
from hubqueue.mqtt.routing import lanes_of
from hubqueue.mqttclient.message import Extras, Message
from hubqueue.sources.message import Message as SourceMessage
from hubqueue.sources.routing import SourceRouting

RULE: dict[str, Any] = {"topic": "s/{room}", "queue": "{room}"}


class House:
    """A job file, opened again and again with other rules."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @asynccontextmanager
    async def hub(
        self, *rules: dict[str, Any], sources: Sequence[dict[str, Any]] = (), settings: HubSettings | None = None
    ) -> AsyncIterator[LocalHub]:
        file = self._folder / "hubqueue.yaml"
        mqtt = {"mqtt": {"url": "mqtt://nowhere.example", "rules": list(rules)}} if rules else {}
        file.write_bytes(msgspec.json.encode({**mqtt, **({"sources": list(sources)} if sources else {})}))
        self.config = load(file, environ={})
        router = router_of(self.config)
        async with await LocalHub.open(self._folder / "hub.db", settings, router=router) as hub:
            yield hub

    async def come(self, hub: LocalHub, *messages: Message) -> None:
        """Messages as the lanes of the rules would store them."""
        assert self.config.mqtt is not None
        for routing in lanes_of(self.config.mqtt.rules, invoke=True).values():
            routed = [each for message in messages for each in routing.route(message, hub.now_ms())]
            lane_has = bool(routing.subscriptions())
            taken = [each for each in routed if isinstance(each, Taken)]
            dead = [(each.job, each.reason, each.error) for each in routed if isinstance(each, Refused) and lane_has]
            await hub.run(lambda tx, taken=taken, dead=dead: intake(tx, taken, dead))  # type: ignore[misc]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def dead(hub: LocalHub) -> list[Job]:
    return list((await hub.list_jobs(UNROUTABLE, [State.FAILED])).jobs)


async def values(hub: LocalHub, queue: str) -> list[Any]:
    return [msgspec.msgpack.decode(job.data or b"") for job in (await hub.list_jobs(queue)).jobs]


async def test_a_mended_rule_takes_what_it_had_refused(house: House) -> None:
    extras = Extras(user={"site": "north"}, content_type="text/plain")
    async with house.hub(RULE) as hub:
        await house.come(hub, Message("s/hall", b"offline", qos=1, retain=True, extras=extras), Message("s/a", b"1"))
        (kept,) = await dead(hub)
        received = msgspec.msgpack.decode(kept.data or b"")["receivedAt"]
        # nothing was changed: it stays, and the number says so
        found = await hub.retry_dead(UNROUTABLE)
        assert (found.again, found.kept) == (0, 1)
        with pytest.raises(WrongState, match="not JSON"):
            await hub.retry(kept.id)
        (kept,) = await dead(hub)
        assert kept.history.retries == 2
    async with house.hub({**RULE, "payload": "text", "delay": "1h"}) as hub:
        assert await hub.retry_dead(UNROUTABLE) == Retried(again=1)
        assert await dead(hub) == []
        (job,) = (await hub.list_jobs("hall")).jobs
        assert (job.state, job.attempts) == (State.DELAYED, 0)
        assert msgspec.msgpack.decode(job.data or b"") == {
            "topic": "s/hall",
            "payload": "offline",
            "receivedAt": received,
            "qos": 1,
            "retain": True,
            "parts": {"room": "hall"},
            "contentType": "text/plain",
            "properties": {"site": "north"},
        }
        assert len(await values(hub, "a")) == 1
        assert await hub.retry_dead(UNROUTABLE) == Retried()


async def test_rules_that_had_dealt_with_it_do_not_take_it_again(house: House) -> None:
    text = {**RULE, "queue": "texts", "payload": "text"}
    number = {**RULE, "queue": "numbers", "payload": "number"}
    strict = {**RULE, "queue": "strict", "payload": "json"}
    slow = {**RULE, "queue": "slow", "payload": "text", "lane": "slow"}
    async with house.hub(text, number, strict, slow) as hub:
        await house.come(hub, Message("s/hall", b"off"))
        assert [job.history.reason for job in await dead(hub)] == ["undecodable", "undecodable"]
    async with house.hub(text, {**number, "payload": "text"}, {**strict, "payload": "bytes"}, slow) as hub:
        assert await hub.retry_dead(UNROUTABLE) == Retried(again=2)
        counts = {name: len(await values(hub, name)) for name in ("texts", "numbers", "strict", "slow")}
        assert counts == {"texts": 1, "numbers": 1, "strict": 1, "slow": 1}


async def test_two_rules_alike_are_two_rules(house: House) -> None:
    json, text = {**RULE, "payload": "json"}, {**RULE, "payload": "text"}
    async with house.hub(json, text) as hub:
        await house.come(hub, Message("s/hall", b"off"))
        assert (await hub.retry_dead(UNROUTABLE)).kept == 1
        assert len(await values(hub, "hall")) == 1
    async with house.hub({**json, "payload": {"kind": "json", "otherwise": "text"}}, text) as hub:
        assert await hub.retry_dead(UNROUTABLE) == Retried(again=1)
        assert len(await values(hub, "hall")) == 2


async def test_a_rule_of_another_topic_takes_what_its_forerunner_refused(house: House) -> None:
    async with house.hub({**RULE, "queue": "{room}", "payload": "number"}) as hub:
        await house.come(hub, Message("s/hall", b"off"))
    async with house.hub({"topic": "s/#", "queue": "all", "payload": "text", "lane": "other"}) as hub:
        found = await hub.retry_dead(UNROUTABLE)
        assert (found.kept, found.why) == (1, "no rule takes topic 's/hall'")  # it never came over that lane
    async with house.hub({"topic": "s/#", "queue": "all", "payload": "text"}) as hub:
        assert await hub.retry_dead(UNROUTABLE) == Retried(again=1)


async def test_what_one_new_rule_takes_and_another_refuses_is_taken_once(house: House) -> None:
    async with house.hub(RULE) as hub:
        await house.come(hub, Message("s/hall", b"off"))
    also = {**RULE, "queue": "also", "payload": "text"}
    async with house.hub(RULE, also) as hub:
        for _ in range(2):
            assert (await hub.retry_dead(UNROUTABLE)).kept == 1
            assert len(await values(hub, "also")) == 1
    async with house.hub({**RULE, "payload": "text"}, also) as hub:
        assert await hub.retry_dead(UNROUTABLE) == Retried(again=1)
        assert (len(await values(hub, "also")), len(await values(hub, "hall"))) == (1, 1)


async def test_what_rules_leave_out_now_is_done(house: House) -> None:
    async with house.hub(RULE) as hub:
        await house.come(hub, Message("s/hall", b"", retain=True), Message("s/hall", b"x"))
    async with house.hub({**RULE, "payload": {"kind": "json", "empty": "skip"}}) as hub:
        found = await hub.retry_dead(UNROUTABLE)
        assert (found.again, found.passed, found.kept) == (0, 1, 1)


async def test_an_invoke_that_is_wrong_stays_with_the_reason(house: House) -> None:
    async with house.hub(RULE) as hub:
        await house.come(hub, Message("hubqueue/math/invoke", b"{}"))
        found = await hub.retry_dead(UNROUTABLE)
        assert found.kept == 1
        assert "not a valid invoke" in (found.why or "")


async def test_the_bounds_of_a_queue_hold_for_what_comes_again(house: House) -> None:
    small = HubSettings(queues={"hall": QueueBounds(max_jobs=1)})
    async with house.hub(RULE, settings=small) as hub:
        await house.come(hub, *(Message("s/hall", b"%d;" % number) for number in range(3)))
    for rule, (again, kept), waiting in (
        ({**RULE, "payload": "text", "on_full": "drop"}, (1, 2), 0),
        ({**RULE, "payload": "text"}, (2, 0), 2),
    ):
        async with house.hub(rule, settings=small) as hub:
            found = await hub.retry_dead(UNROUTABLE)
            assert (found.again, found.kept) == (again, kept)
            assert len(await values(hub, OVERFLOW)) == waiting
            if kept:
                assert [job.history.reason for job in await dead(hub)] == ["queue_full"] * kept


async def test_a_message_too_large_to_be_kept_whole_says_so(house: House) -> None:
    async with house.hub(RULE) as hub:
        await house.come(hub, Message("s/hall", b"x" * (MAX_KEPT_BYTES + 1)), Message("s/a", b"y" * 1_500_000))
    async with house.hub({**RULE, "payload": "text"}) as hub:
        found = await hub.retry_dead(UNROUTABLE)
        assert (found.again, found.kept) == (1, 1)
        assert "larger than what is" in (found.why or "")
        assert (await values(hub, "a"))[0]["payload"] == "y" * 1_500_000


async def test_messages_of_a_source_go_through_its_settings(house: House) -> None:
    source = {"name": "plant", "from": "kafka://nowhere.example/t", "queue": "q"}
    message = SourceMessage("t", b"off", 1_700_000_000_000, "key", {"site": "north"}, 3, 17)
    async with house.hub(sources=[source]) as hub:
        routed = SourceRouting("plant", Into(queue="q")).route([message], hub.now_ms())
        await hub.run(lambda tx: intake(tx, [], routed.dead))
        assert (await hub.retry_dead(UNROUTABLE)).kept == 1
    async with house.hub(sources=[{**source, "name": "other"}]) as hub:
        found = await hub.retry_dead(UNROUTABLE)
        assert (found.kept, found.why) == (1, "there is no source 'plant' any more")
        (kept,) = await dead(hub)
        assert kept.history.reason == "no_source"
    mended = {**source, "payload": "text", "queue": "{{ headers.site }}", "shape": "message"}
    async with house.hub(sources=[mended]) as hub:
        assert await hub.retry_dead(UNROUTABLE) == Retried(again=1)
        (job,) = (await hub.list_jobs("north")).jobs
        assert job.created_at_ms == 1_700_000_000_000
        data = {"topic": "t", "payload": "off", "at": 1_700_000_000_000, "key": "key", "headers": {"site": "north"}}
        assert msgspec.msgpack.decode(job.data or b"") == {**data, "partition": 3, "offset": 17}


async def test_a_hub_without_rules_and_sources_refuses(house: House) -> None:
    async with house.hub(RULE) as hub:
        await house.come(hub, Message("s/hall", b"off"))
    async with house.hub() as hub:
        with pytest.raises(WrongState, match="this hub has none"):
            await hub.retry_dead(UNROUTABLE)
        assert len(await dead(hub)) == 1


async def test_many_are_routed_in_slices(house: House) -> None:
    async with house.hub(RULE) as hub:
        await house.come(hub, *(Message("s/hall", b"n%d" % number) for number in range(1200)))
    async with house.hub({**RULE, "payload": "text"}) as hub:
        assert await hub.retry_dead(UNROUTABLE, limit=200) == Retried(again=200)
        assert await hub.retry_dead(UNROUTABLE) == Retried(again=1000)
        assert (await hub.counts("hall")).waiting == 1200
        (first,) = await hub.lease("hall", owner="w")
        assert msgspec.msgpack.decode(first.job.data or b"")["payload"] == "n0"


async def test_a_defect_that_one_message_finds_keeps_it_and_says_so_in_plain_words(tmp_path: Path) -> None:
    house = House(tmp_path)
    async with house.hub(RULE) as hub:
        await house.come(hub, Message(topic="s/a", payload=b"{"))

        def reroute(job: Job) -> None:
            raise ZeroDivisionError("division by zero")

        hub.store.tx.router.reroute = reroute
        done = await hub.retry_dead(UNROUTABLE)
        (job,) = (await hub.list_jobs(UNROUTABLE, (State.FAILED,))).jobs
    assert (done.again, done.kept) == (0, 1)
    assert done.why == job.history.error == "it could not be read again; the log of the hub has the details"
