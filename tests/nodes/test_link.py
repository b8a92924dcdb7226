"""The link between the nodes and a hub: hubs that hang, networks that swallow, what the nodes say of it."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hubqueue import Client
from support import certificates
from support.dashboard import Asker
from support.hub_process import HubProcess
from support.node_red import Node, NodeRed, enqueue, function, inject, node, result, server, tab, worker
from support.ports import free_port
from support.proxy import Proxy, Uplink
from support.waiting import until

pytestmark = pytest.mark.slow

NOTICED = "did not answer within 24 s"
Trouble = Callable[[HubProcess, Proxy], AbstractAsyncContextManager[None]]


def four_kinds_of_traffic(port: int) -> list[Node]:
    """Each over a server node of its own: none, a long-poll, messages all the time, figures and what forward asks."""
    return [
        tab(),
        *({**server(port), "id": id} for id in ("idle", "polls", "writes", "asks")),
        node("control", "hubqueue-control", server="idle"),
        worker("work", "end", queue="other", server="polls"),
        result("end"),
        inject("often", "put", repeat="0.2", once=True),
        enqueue("put", "count", server="writes"),
        function("count", "seen('stored');"),
        node("figures", "hubqueue-events", server="asks", mode="stats", interval="1s", queue="q", queueType="str"),
        node("forward", "hubqueue-forward", server="asks", to=f"tcp://127.0.0.1:{free_port()}", queue="away"),
    ]


@asynccontextmanager
async def stopped(hub: HubProcess, _proxy: Proxy) -> AsyncIterator[None]:
    hub.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        hub.signal(signal.SIGCONT)


@asynccontextmanager
async def half_open(_hub: HubProcess, proxy: Proxy) -> AsyncIterator[None]:
    await proxy.set(Uplink.SILENT)
    try:
        yield
    finally:
        await proxy.set(Uplink.PASS)
        proxy.cut()


@pytest.mark.parametrize("trouble", [stopped, half_open])
async def test_a_hub_that_hangs_is_noticed_whatever_is_sent_to_it(
    hub: HubProcess, red: NodeRed, trouble: Trouble
) -> None:
    async with Proxy(hub.port) as proxy:
        red.deploy(four_kinds_of_traffic(proxy.port))
        await until(lambda: red.log().count("connected host") == 4 and red.seen() != [])
        async with trouble(hub, proxy):
            for id in ("idle", "polls", "writes", "asks"):
                await until(lambda id=id: any(f":{id}]" in line and NOTICED in line for line in red.log().splitlines()))
        await until(lambda: red.log().count("connected host") == 8)
        stored = len(red.seen())
        async with Client(hub.url) as client:
            assert (await client.queue("q").counts()).waiting >= stored


def each_kind(port: int, **fields: Any) -> list[Node]:
    kinds = ("work", "events", "figures", "control")
    return [
        tab(),
        server(port, **fields),
        worker("work", "end"),
        result("end"),
        node("events", "hubqueue-events", server="hub", queue="*", queueType="str"),
        node("figures", "hubqueue-events", server="hub", queue="*", queueType="str", mode="stats"),
        node("control", "hubqueue-control", server="hub"),
        node("status", "status", "tell", scope=list(kinds)),
        function("tell", "seen([msg.status.source.id, msg.status.text]);"),
    ]


def wait_for_word(red: NodeRed, word: str) -> None:
    wanted = [[kind, f"hubqueue.status.{word}"] for kind in ("work", "events", "figures", "control")]
    red.wait_for(lambda: all(each in red.seen() for each in wanted))


async def test_every_node_says_what_a_person_has_to_put_right(
    hub: HubProcess, central: HubProcess, tmp_path: Path, red: NodeRed
) -> None:
    files = certificates.make(tmp_path / "tls")
    folder = tmp_path / "safe"
    folder.mkdir()
    arguments = ("--tls-cert", str(files.cert), "--tls-key", str(files.key), "--auth-tokens", "right")
    authority = {"id": "tls", "type": "tls-config", "ca": str(files.ca), "verifyservercert": True}
    other = {**authority, "ca": str(files.other_ca)}
    central.kill()
    with HubProcess(folder, "--tcp-port", "0", *arguments) as safe:
        for word, config, fields in (
            ("refused", authority, {"port": safe.port, "tls": "tls", "credentials": {"token": "wrong"}}),
            ("certificate", other, {"port": safe.port, "tls": "tls"}),
            ("unknownHost", authority, {"port": hub.port, "host": "hub.invalid"}),
            ("noHub", authority, {"port": hub.http_port}),
            ("noHub", authority, {"port": hub.port, "tls": "tls"}),
            ("disconnected", authority, {"port": central.port}),
        ):
            red.seen_file.unlink(missing_ok=True)
            red.deploy([*each_kind(**fields), config])
            wait_for_word(red, word)


@pytest.mark.parametrize(
    "config",
    [[], [{"id": "tls", "type": "tls-config", "d": True}], [{"id": "tls", "type": "tls-config", "ca": "/nowhere.pem"}]],
    ids=["missing", "disabled", "unreadable"],
)
async def test_nothing_goes_out_unencrypted_for_want_of_the_tls_configuration(
    hub: HubProcess, red: NodeRed, config: list[Node]
) -> None:
    red.deploy([*each_kind(hub.port, tls="tls"), *config])
    red.wait_for(lambda: red.log().count("its hub cannot be used: TLS: the TLS configuration is missing") == 4)
    tried = red.request("POST", "/hubqueue/test", {"host": "127.0.0.1", "port": hub.port, "tls": "tls"})
    assert (tried["ok"], tried["code"]) == (False, "HQ_INVALID")
    assert "connected host" not in red.log()


async def test_a_token_that_is_good_for_other_things_is_told(tmp_path: Path, red: NodeRed) -> None:
    with HubProcess(tmp_path, "--tcp-port", "0", "--auth-tokens", "right") as hub:
        with Asker(hub.port, "right") as ask:
            limited = ask("TokenAdd", name="stores", scopes=["enqueue"])["token"]
        red.deploy(each_kind(hub.port, credentials={"token": limited}))
        for kind in ("work", "events", "figures"):
            red.wait_for(lambda kind=kind: [kind, "hubqueue.status.forbidden"] in red.seen())


async def test_who_deploys_does_not_wait_for_the_next_try(hub: HubProcess, red: NodeRed) -> None:
    nodes = each_kind(hub.port, shortestWait="1h", longestWait="1h")
    red.deploy(nodes)
    red.wait_for(lambda: red.log().count("connected host") == 1)
    hub.kill()
    red.wait_for(lambda: "no connection" in red.log())
    hub.start()
    red.deploy([*nodes, node("more", "comment")], "nodes")  # the server node is not among them
    red.wait_for(lambda: red.log().count("connected host") == 2)


async def test_the_waits_are_settings(hub: HubProcess, red: NodeRed) -> None:
    red.deploy(each_kind(hub.port, shortestWait="100ms", longestWait="100ms"))
    red.wait_for(lambda: red.log().count("connected host") == 1)
    for times in (2, 3):
        mark = len(red.log())
        hub.kill()
        red.wait_for(lambda mark=mark: "no connection" in red.log()[mark:])
        hub.start()
        red.wait_for(lambda times=times: red.log().count("connected host") == times)
