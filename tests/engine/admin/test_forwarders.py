"""The forwarders of a process, asked for over its TCP door."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hubqueue.admin.forwarders import shown, spec_of
from hubqueue.app import App
from hubqueue.client.address import LinkSettings
from hubqueue.commands.decode import decode_request
from hubqueue.config.settings import Config, Forward, HttpDoor, TcpDoor
from hubqueue.forward.breaker import LinkState
from hubqueue.forward.destination import HubDestination
from hubqueue.forward.managed import ForwarderStatus
from hubqueue.forward.plan import plan_of
from hubqueue.forward.status import ForwardStatus
from hubqueue.model.hours import Hours
from support.served import Served, served
from support.waiting import until
from support.wire import WireClient

SECRET = "a-token-nobody-may-see"


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path / "central.db", tokens=(SECRET,)) as found:
        yield found


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[WireClient]:
    away = HubDestination(LinkSettings.from_url("tcp://127.0.0.1:1", token=SECRET), "n")
    nightly = Forward(away, hours=Hours(("02:00-02:01",), "UTC"), queue="nights")
    config = Config(
        data_path=tmp_path / "edge.db",
        tcp=TcpDoor(port=0),
        http=HttpDoor(port=0),
        forwarders=(nightly,),
        drain_s=1.0,
    )
    async with App(config) as app:
        client = await WireClient.open(app.tcp.port)
        yield client
        await client.close()


async def forwarders(client: WireClient) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in (await client.good("Forwarders"))["forwarders"]}


async def test_a_forwarder_goes_through_its_life_over_the_wire(client: WireClient, there: Served) -> None:
    await client.good("PUSH", queue="q", name="n", data=1)
    await client.good("ForwarderPut", queue="q", to=there.url, token=SECRET, target="site", backoff=20)

    async def gone() -> bool:
        return bool((await forwarders(client))["q"]["forwarded"] == 1)

    await until(gone)
    shown = (await forwarders(client))["q"]
    assert (shown["declared"], shown["link"], shown["to"], shown["target"]) == ("runtime", "up", there.url, "site")
    assert (shown["hasToken"], shown["backoff"], shown["waiting"], shown["oldestMs"]) == (True, 20, 0, None)
    assert SECRET not in str(shown)
    await client.good("ForwarderPause", name="q")

    async def idle() -> bool:
        shown = (await forwarders(client))["q"]
        return (shown["paused"], shown["link"], shown["reason"]) == (True, "idle", "paused")

    await until(idle)
    await client.good("ForwarderResume", name="q")
    assert (await client.good("ForwarderDrain", name="q"))["waiting"] == 0
    await client.good("ForwarderDelete", name="q")
    assert set(await forwarders(client)) == {"nights"}


async def test_a_forwarder_of_the_configuration_shows_its_schedule(client: WireClient) -> None:
    shown = (await forwarders(client))["nights"]
    assert shown["declared"] == "config"
    assert shown["schedule"] == {"windows": ["02:00-02:01"], "timezone": "UTC"}
    assert shown["open"] == (shown["opensAt"] is None)
    assert shown["hasToken"]
    refused = await client.call("ForwarderDelete", name="nights")
    assert (refused["code"], "configuration" in refused["error"]) == ("wrong_state", True)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"queue": "nights", "to": "tcp://h", "name": "other"}, "duplicate"),
        ({"queue": "q", "to": "ftp://h"}, "invalid"),
        ({"to": "tcp://h"}, "invalid"),
        ({"queue": "q", "to": "tcp://h", "schedule": {"windows": ["noon"]}}, "invalid"),
        ({"queue": "q", "to": "tcp://h", "schedule": {"windows": [], "timezone": "UTC"}}, "invalid"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_code(client: WireClient, fields: dict[str, Any], code: str) -> None:
    refused = await client.call("ForwarderPut", **fields)
    assert refused["code"] == code, refused
    assert set(await forwarders(client)) == {"nights"}


async def test_each_job_that_arrives_is_told_to_subscribers_by_its_id(client: WireClient, there: Served) -> None:
    await client.good("SubscribeEvents", queue="q")
    await client.good("ForwarderPut", queue="q", to=there.url, token=SECRET, name="up")
    await client.send({"cmd": "PUSH", "reqId": "push", "queue": "q", "name": "n", "data": 1})
    links, told, id = [], None, None
    while told is None or id is None:
        message = await client.read()
        if message.get("reqId") == "push":
            id = message["id"]
        elif message.get("event", {}).get("eventType") == "forwarded":
            told = message["event"]
        elif message.get("event", {}).get("eventType") == "forwarder:link":
            links.append(message["event"]["data"])
    assert (told["jobId"], told["data"]) == (id, {"forwarder": "up"})
    assert {"forwarder": "up", "link": "up", "reason": None, "alert": False} in links


def test_every_key_that_is_answered_is_documented() -> None:
    command: Any = decode_request(msgspec.msgpack.encode({"cmd": "ForwarderPut", "queue": "q", "to": "tcp://h"}))
    now = ForwardStatus(queue="q", target="t", link=LinkState.UP, since_ms=0)
    plan = plan_of(spec_of(command), zone=None)
    flags = {"paused": False, "draining": False, "retiring": False}
    keys = shown(ForwarderStatus(plan=plan, **flags, hours=None, now=now, trouble=None))
    text = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text()
    section = text.split("### Forwarders\n")[1].split("\n### ")[0]
    assert [key for key in keys if key not in section.replace(",", " ").split()] == []
