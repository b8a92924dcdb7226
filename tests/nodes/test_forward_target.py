"""The forward node and its target: certificates, why nothing reaches it, and what becomes of forwarders."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from hubqueue import Client
from support.certificates import Certificates, make
from support.http_server import serving
from support.hub_process import HubProcess
from support.node_red import Node, NodeRed, function, inject, node, server, tab
from support.ports import free_port
from support.served import served
from support.waiting import PATIENCE_S, until
from support.wire import WireClient

pytestmark = pytest.mark.slow

LINK = "if (msg.payload.state === 'link') seen(['link', msg.payload.link, msg.payload.reason || null]);"
CAUGHT = "seen(['caught', msg.error.code, msg.payload && msg.payload.state || null]);"


def flow(hub: HubProcess, to: str, *more: Node, **fields: Any) -> list[Node]:
    """Its links, errors, stored messages and statuses are told."""
    standard = {"server": "hub", "to": to, "target": "inbox", "queue": "outbox"}
    return [
        tab(),
        server(hub.port),
        inject("in", "send"),
        node("send", "hubqueue-forward", ["stored"], ["link"], **{**standard, **fields}),
        function("stored", "seen(['stored', msg.payload]);"),
        function("link", LINK),
        node("catch", "catch", "caught", scope=["send"], uncaught=False),
        function("caught", CAUGHT),
        node("status", "status", "shown", scope=["send"]),
        function("shown", "seen(['status', msg.status.text]);"),
        *more,
    ]


def of(red: NodeRed, kind: str) -> list[Any]:
    """What was told of this kind."""
    return [each[1] if len(each) == 2 else each[1:] for each in red.seen() if each[0] == kind]


def wait_of(red: NodeRed, kind: str, count: int) -> list[Any]:
    return list(red.wait_for(lambda: len(of(red, kind)) >= count and of(red, kind)))


def wait_status(red: NodeRed, text: str) -> None:
    red.wait_for(lambda: of(red, "status")[-1:] == [text])


async def forwarders(hub: HubProcess) -> dict[str, dict[str, Any]]:
    wire = await WireClient.open(hub.port)
    found = (await wire.good("Forwarders"))["forwarders"]
    await wire.close()
    return {each["name"]: each for each in found}


async def arrived(url: str, **access: Any) -> list[Any]:
    async with Client(url, **access) as there:
        return [view.data async for view in there.queue("inbox").jobs("waiting")]


@contextmanager
def mutual(path: Path, files: Certificates) -> Iterator[int]:
    """The port of a hub that asks for a certificate of the CA, in a thread: these tests hold up their loop."""
    port, ready, end = free_port(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with served(path, certificates=files, mutual=True, port=port):
            loops.append(asyncio.get_running_loop())
            ready.set()
            await end.wait()

    loops: list[asyncio.AbstractEventLoop] = []
    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(PATIENCE_S)
        yield port
    finally:
        loops[0].call_soon_threadsafe(end.set)
        thread.join()


def authority(files: Certificates, **fields: Any) -> Node:
    return {"id": "tls", "type": "tls-config", "ca": str(files.ca), "verifyservercert": True, **fields}


def own(files: Certificates) -> dict[str, str]:
    return {"cert": str(files.client), "key": str(files.client)}


async def test_a_target_of_a_private_ca_that_asks_for_a_certificate(
    hub: HubProcess, red: NodeRed, tmp_path: Path
) -> None:
    files = make(tmp_path / "tls")
    with mutual(tmp_path / "there.db", files) as port:
        to = f"127.0.0.1:{port}"  # with a TLS configuration it is encrypted
        red.deploy(flow(hub, to, authority(files), tls="tls"))
        red.inject("in", 1)
        assert wait_of(red, "caught", 1) == [["HQ_TARGET_TLS", "link"]]
        assert wait_of(red, "link", 1) == [["down", "tls"]]
        wait_status(red, "certificate 1")
        red.deploy(flow(hub, to, authority(files, **own(files)), tls="tls"), "nodes")
        red.wait_for(lambda: of(red, "status")[-1:] == ["0 waiting"])
        access = {"ca_file": str(files.ca), "cert_file": str(files.client), "key_file": str(files.client)}
        assert await arrived(f"tls://127.0.0.1:{port}", **access) == [1]
        (shown,) = (await forwarders(hub)).values()
        assert (shown["to"], shown["hasClientCert"]) == (f"tls://127.0.0.1:{port}", True)
        assert "PRIVATE KEY" not in json.dumps(shown)
    assert "PRIVATE KEY" not in red.log()
    assert "PRIVATE KEY" not in hub.log()


async def test_what_a_tls_configuration_says_is_what_the_hub_does(
    hub: HubProcess, red: NodeRed, tmp_path: Path
) -> None:
    files = make(tmp_path / "tls", "central.example.org")
    key = serialization.load_pem_private_key(files.client.read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"hush")
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    (tmp_path / "locked.pem").write_bytes(key.private_bytes(*form, locked))
    with mutual(tmp_path / "there.db", files) as port:
        whole = {"cert": str(files.client), "key": str(tmp_path / "locked.pem"), "credentials": {"passphrase": "hush"}}
        for number, fields in enumerate(
            [
                {**whole, "servername": "central.example.org"},
                {**own(files), "verifyservercert": False, "ca": str(files.other_ca)},
            ]
        ):
            red.deploy(flow(hub, f"tls://127.0.0.1:{port}", authority(files, **fields), tls="tls"))
            red.inject("in", number)
            red.wait_for(lambda number=number: of(red, "stored") == list(range(number + 1)))

            async def gone() -> bool:
                shown = list((await forwarders(hub)).values())  # a slow Node-RED puts it after the message
                return [each["forwarded"] for each in shown] == [1]

            await until(gone)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"tls": "gone"}, "missing"),
        ({"tls": "tls", "to": "tcp://127.0.0.1:1"}, "tcp://"),
        ({"tls": "tls", "ca": "/nowhere.pem"}, "missing"),
        ({"tls": "tls", "certType": "pfx", "p12": "FILE"}, "PKCS#12"),
    ],
)
async def test_a_tls_configuration_that_cannot_be_used_is_told_and_nothing_goes_out(
    hub: HubProcess, red: NodeRed, tmp_path: Path, fields: dict[str, Any], said: str
) -> None:
    files = make(tmp_path / "tls")
    mine = {name: fields.pop(name) for name in ("tls", "to") if name in fields}
    fields = {name: str(files.ca) if value == "FILE" else value for name, value in fields.items()}
    nodes = flow(hub, "127.0.0.1:1", authority(files, **fields))
    next(each for each in nodes if each["id"] == "send").update(mine)
    red.deploy(nodes)
    red.inject("in", 1)
    assert wait_of(red, "caught", 1) == [["HQ_INVALID", None]]
    assert said in red.log()
    assert await forwarders(hub) == {}


async def test_a_refused_token_and_a_corrected_one_are_told_once_each(
    hub: HubProcess, red: NodeRed, tmp_path: Path
) -> None:
    (tmp_path / "there").mkdir()
    with HubProcess(tmp_path / "there", "--tcp-port", "0", "--auth-tokens", "right") as there:
        red.deploy(flow(hub, there.url, credentials={"token": "wrong"}))
        red.inject("in", 1)
        wait_status(red, "token refused 1")
        red.inject("in", 2)
        wait_status(red, "token refused 2")
        assert of(red, "caught") == [["HQ_TARGET_AUTH", "link"]]
        red.deploy(flow(hub, there.url, credentials={"token": "right"}), "nodes")
        wait_status(red, "0 waiting")
        assert of(red, "caught") == [["HQ_TARGET_AUTH", "link"]]
        assert await arrived(there.url, token="right") == [1, 2]


async def test_a_target_that_goes_and_comes_is_told_with_what_waits(
    hub: HubProcess, central: HubProcess, red: NodeRed
) -> None:
    red.deploy(flow(hub, central.url))
    red.inject("in", 0)
    wait_status(red, "0 waiting")
    central.stop()
    assert wait_of(red, "link", 1) == [["down", "unreachable"]]
    began_s = time.monotonic()
    for number in range(1, 11):
        red.inject("in", number)
        wait_status(red, f"target offline {number}")
    assert time.monotonic() - began_s < 9 * 5  # and not only when the hub is asked how the link is, every five seconds
    central.start()
    assert wait_of(red, "link", 2) == [["down", "unreachable"], ["up", None]]
    wait_status(red, "0 waiting")
    assert of(red, "caught") == [["HQ_TARGET_OFFLINE", "link"]]
    assert await arrived(central.url) == list(range(11))


async def test_a_target_that_is_no_hub_is_told(hub: HubProcess, red: NodeRed) -> None:
    async def answer(_: Any) -> Any:
        raise AssertionError("no request of HTTP was made")

    async with serving(answer) as site:
        red.deploy(flow(hub, site.replace("http", "tcp")))
        await until(lambda: ["HQ_TARGET_PROTOCOL", "link"] in of(red, "caught"))
        await until(lambda: of(red, "status")[-1:] == ["no hub there 0"])


@pytest.mark.parametrize("killed", [False, True])
async def test_a_renamed_buffer_is_emptied_and_its_forwarder_goes_then(
    hub: HubProcess, central: HubProcess, red: NodeRed, killed: bool
) -> None:
    central.stop()
    red.deploy(flow(hub, central.url))
    red.inject("in", 1)
    wait_of(red, "stored", 1)
    red.deploy(flow(hub, central.url, queue="other"), "nodes")
    red.inject("in", 2)
    wait_of(red, "stored", 2)

    async def both() -> bool:
        found = {each["queue"]: each["retiring"] for each in (await forwarders(hub)).values()}
        return found == {"outbox": True, "other": False}

    await until(both)
    if killed:
        red.kill()
        hub.kill()
        hub.start()
    central.start()

    async def one() -> bool:
        return [each["queue"] for each in (await forwarders(hub)).values()] == ["other"]

    await until(one)
    if killed:
        red.start()
    red.inject("in", 3)

    async def all_there() -> bool:
        return sorted(await arrived(central.url)) == [1, 2, 3]

    await until(all_there)
    red.deploy(flow(hub, central.url), "nodes")  # back again: nothing waits, so nothing retires
    await until(lambda: _queues(hub, "outbox"))


async def _queues(hub: HubProcess, *queues: str) -> bool:
    return [each["queue"] for each in (await forwarders(hub)).values()] == list(queues)


async def test_what_a_renaming_while_node_red_is_away_leaves_retires_at_the_next_start(
    hub: HubProcess, central: HubProcess, red: NodeRed
) -> None:
    red.deploy(flow(hub, central.url))
    await until(lambda: _queues(hub, "outbox"))
    hub.stop()
    red.deploy(flow(hub, central.url, queue="other"), "nodes")  # nobody can be told of it
    red.kill()
    hub.start()
    assert await _queues(hub, "outbox")
    red.start()
    await until(lambda: _queues(hub, "other"))


async def test_a_deleted_node_with_messages_leaves_a_forwarder_until_they_have_arrived(
    hub: HubProcess, central: HubProcess, red: NodeRed
) -> None:
    central.stop()
    nodes = flow(hub, central.url)
    red.deploy(nodes)
    red.inject("in", 1)
    wait_of(red, "stored", 1)
    rest = [each for each in nodes if each["id"] not in ("send", "catch", "status")]
    red.deploy(rest, "nodes")
    (left,) = (await forwarders(hub)).values()
    assert left["retiring"]
    again = node("new", "hubqueue-forward", server="hub", to=central.url, target="inbox", queue="outbox")
    red.deploy([*rest, again], "nodes")  # it goes the same way, so it goes on with the messages

    async def taken_over() -> bool:
        return {name: each["retiring"] for name, each in (await forwarders(hub)).items()} == {"node-red:new": False}

    await until(taken_over)
    central.start()

    async def there() -> bool:
        return await arrived(central.url) == [1]

    await until(there)


async def test_a_node_that_is_deleted_while_the_hub_is_away_is_told_of_later(
    hub: HubProcess, central: HubProcess, red: NodeRed
) -> None:
    nodes = flow(hub, central.url)
    other = node("other", "hubqueue-forward", server="hub", to=central.url, queue="others")
    red.deploy([*nodes, other])
    await until(lambda: _queues(hub, "others", "outbox"))
    hub.stop()
    red.deploy([*(each for each in nodes if each["id"] not in ("send", "catch", "status")), other], "nodes")
    assert "hubqueue forward remove node-red:send --when-empty" in red.log()
    hub.start()
    await until(lambda: _queues(hub, "others"))


async def test_two_nodes_of_one_buffer_are_told_and_do_not_fight(
    hub: HubProcess, central: HubProcess, red: NodeRed
) -> None:
    red.deploy(flow(hub, central.url))
    red.inject("in", 1)
    wait_status(red, "0 waiting")
    way = {"server": "hub", "to": "tcp://127.0.0.1:1", "queue": "outbox"}
    second = node("second", "hubqueue-forward", ["stored"], ["link"], **way)
    nodes = [*flow(hub, central.url), inject("in2", "second"), second]
    for each in nodes:
        if each["id"] in ("catch", "status"):
            each["scope"] = ["second"]
    red.deploy(nodes, "nodes")
    wait_status(red, "hubqueue.status.taken")
    red.inject("in2", 2)
    assert wait_of(red, "caught", 1) == [["HQ_DUPLICATE", None]]  # the payload is a number
    red.inject("in", 3)

    async def there() -> bool:
        return await arrived(central.url) == [1, 3]

    await until(there)
    assert set(await forwarders(hub)) == {"node-red:send"}
    second["queue"] = "a-second-one"
    red.deploy(nodes, "nodes")
    red.wait_for(lambda: of(red, "status")[-1:] != ["hubqueue.status.taken"])
    assert set(await forwarders(hub)) == {"node-red:send", "node-red:second"}


async def test_what_is_deployed_unchanged_goes_on_undisturbed(hub: HubProcess, red: NodeRed, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with HubProcess(tmp_path / "there", "--tcp-port", "0", "--auth-tokens", "right,other") as there:
        red.deploy(flow(hub, there.url, credentials={"token": "right"}))
        red.inject("in", 1)
        wait_status(red, "0 waiting")
        since = (await forwarders(hub))["node-red:send"]["linkSince"]
        red.deploy(flow(hub, there.url, name="moved", credentials={"token": "right"}))
        red.inject("in", 2)
        wait_of(red, "stored", 2)
        await until(lambda: _sent(hub, 2))  # counted since the forwarder was made
        assert (await forwarders(hub))["node-red:send"]["linkSince"] == pytest.approx(since, abs=50)
        red.deploy(flow(hub, there.url, credentials={"token": "other"}))
        await until(lambda: _sent(hub, 0))  # the one of before would take the message, too
        red.inject("in", 3)
        await until(lambda: _sent(hub, 1))


async def _sent(hub: HubProcess, count: int) -> bool:
    return bool((await forwarders(hub))["node-red:send"]["forwarded"] == count)
