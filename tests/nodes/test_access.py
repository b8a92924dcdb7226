"""Tokens and TLS between the nodes and a hub, with credentials and Node-RED's own TLS configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hubqueue import Client
from support import certificates
from support.hub_process import HubProcess
from support.node_red import Node, NodeRed, enqueue, function, inject, server, tab
from support.waiting import until

pytestmark = pytest.mark.slow


def flow(port: int, **fields: Any) -> list[Node]:
    return [
        tab(),
        server(port, **fields),
        inject("in", "put"),
        enqueue("put", "stored"),
        function("stored", "seen(msg.enqueued.duplicate);"),
    ]


async def test_a_token_and_a_private_authority(tmp_path: Path, red: NodeRed) -> None:
    files = certificates.make(tmp_path / "tls")
    tls = ("--tls-cert", str(files.cert), "--tls-key", str(files.key), "--auth-tokens", "right")
    with HubProcess(tmp_path, "--tcp-port", "0", *tls) as hub:
        authority = {"id": "tls", "type": "tls-config", "ca": str(files.ca), "verifyservercert": True}
        red.deploy([*flow(hub.port, tls="tls", credentials={"token": "right"}), authority])
        red.inject("in", 1)
        assert red.wait_seen(1) == [False]
        async with Client(f"tls://127.0.0.1:{hub.port}", token="right", ca_file=str(files.ca)) as client:
            assert [view.data async for view in client.queue("q").jobs("waiting")] == [1]
        shown = red.request("GET", "/flows")
        assert "right" not in str(shown)
        asked = {"id": "hub", "host": "127.0.0.1", "port": hub.port, "tls": "tls"}
        answer = red.request("POST", "/hubqueue/test", {**asked, "token": "__PWRD__"})
        assert answer["ok"], answer
        wrong = red.request("POST", "/hubqueue/test", {**asked, "token": "no"})
        assert wrong["code"] == "HQ_NOT_AUTHENTICATED"


async def test_another_authority_is_not_trusted(tmp_path: Path, red: NodeRed) -> None:
    files = certificates.make(tmp_path / "tls")
    tls = ("--tls-cert", str(files.cert), "--tls-key", str(files.key))
    with HubProcess(tmp_path, "--tcp-port", "0", *tls) as hub:
        authority = {"id": "tls", "type": "tls-config", "ca": str(files.other_ca), "verifyservercert": True}
        red.deploy([*flow(hub.port, tls="tls"), authority])
        red.wait_for(lambda: "no connection to the hub" in red.log())
        assert "certificate" in red.log()
        assert "connected host" not in red.log()


async def test_a_refused_token_is_said_and_costs_no_message(tmp_path: Path, red: NodeRed) -> None:
    with HubProcess(tmp_path, "--tcp-port", "0", "--auth-tokens", "right") as hub:
        red.deploy(flow(hub.port, credentials={"token": "wrong"}))
        red.inject("in", 1)
        red.wait_for(lambda: "Invalid token" in red.log())
        assert red.seen() == []
        red.deploy(flow(hub.port, clientName="now right", credentials={"token": "right"}), "nodes")
        async with Client(hub.url, token="right") as client:

            async def there() -> bool:
                return [view.data async for view in client.queue("q").jobs("waiting")] == [1]

            await until(there)  # it has waited, also while its nodes were deployed anew
