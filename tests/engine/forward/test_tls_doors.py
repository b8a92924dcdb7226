"""How the other side of a forwarder is trusted, and what is shown to it: one table of fields and doors."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import pytest

from hubqueue.cli.forward import add
from hubqueue.commands.operator import ForwarderPut
from hubqueue.config.destinations.hub import HUB
from hubqueue.config.forwarders import forwarder
from hubqueue.config.mistakes import Wrong
from hubqueue.config.settings import Forward
from hubqueue.forward.destination import HubDestination
from hubqueue.model.forwarding import ForwardSpec
from hubqueue.servers.http.rest.forwarders import NewForwarder
from support.certificates import make
from support.hub_process import HubProcess
from support.rest import client_of
from support.shell import Shell

ROOT: Final = Path(__file__).parents[3]
# field of ForwardSpec: in hubqueue.yaml, JSON and the wire, the command line, the dashboard, Home Assistant
TABLE: Final = {
    "ca_cert": ("ca_file", "caCert", "ca", "ca_cert", "ca"),
    "client_cert": ("cert_file", "clientCert", "cert", "client_cert", "certificate"),
    "server_name": ("server_name", "serverName", "server_name", "server_name", "server_name"),
    "verify": ("verify", "verify", "no_verify", "verify", "verify"),
}


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("field", TABLE)
def test_each_field_is_at_each_door(field: str, tmp_path: Path) -> None:
    yaml, wire, flag, form, subentry = TABLE[field]
    assert field in ForwardSpec.__struct_fields__
    assert yaml in {*HUB.keys(tmp_path), "ca_file", "cert_file"}
    for struct in (ForwarderPut, NewForwarder):
        assert wire in struct.__struct_encode_fields__
    assert flag in {option.name for option in add.params}
    assert re.search(rf"\b{form}\b", text("engine/hubqueue/ui/templates/forwarder_form.html"))
    assert f"{wire}:" in text("nodes/lib/uplink.js")
    assert f'"{subentry}"' in text("custom_components/hubqueue/uplink.py")
    for language in ("en", "de"):
        told = json.loads(text(f"custom_components/hubqueue/translations/{language}.json"))
        steps = told["config_subentries"]["uplink"]["step"]
        for step in ("user", "reconfigure"):
            more = steps[step]["sections"]["more"]
            assert more["data"][subentry], more["data_description"][subentry]


async def test_what_is_kept_is_taken_back(tmp_path: Path) -> None:
    files = make(tmp_path / "right")
    kept = {
        "token": "t",
        "caCert": files.ca.read_text(),
        "clientCert": files.client.read_text(),
    }
    plain = {"queue": "q", "to": "tls://127.0.0.1:9"}
    with HubProcess(tmp_path) as hub:
        shell = Shell(tmp_path, hub.url)
        async with client_of(hub.http_port) as rest:

            async def put(**secrets: str | None) -> list[bool]:
                assert (await rest.ask("PUT", "/forwarders/q", {**plain, **secrets})).status == 204
                return await has()

            async def has() -> list[bool]:
                (found,) = (await rest.get("/forwarders"))["forwarders"]
                return [found[name] for name in ("hasToken", "hasCaCert", "hasClientCert")]

            assert await put(**kept) == [True] * 3
            assert await put() == [True] * 3
            assert await put(caCert=None) == [True, False, True]
            assert await put(token=None, clientCert=None) == [False] * 3
            assert await put(**kept) == [True] * 3
            shell("forward", "add", "q", "--to", plain["to"], "--no-ca", "--no-cert")
            assert await has() == [True, False, False]
            for option in ("ca", "cert", "token"):
                file = ("--token-from" if option == "token" else f"--{option}", str(files.cert))
                asked = shell("forward", "add", "q", "--to", plain["to"], *file, f"--no-{option}", code=1)
                assert "are both given" in asked.stderr
            assert await has() == [True, False, False]


def test_a_declared_forwarder_trusts_as_it_is_told(tmp_path: Path) -> None:
    found = forwarder(tmp_path)({"queue": "q", "to": "tls://h", "server_name": "central.example", "verify": False})
    assert isinstance(found, Forward)
    assert isinstance(found.destination, HubDestination)
    tls = found.destination.link.tls
    assert tls is not None
    assert (tls.server_name, tls.verify) == ("central.example", False)


@pytest.mark.parametrize("said", [{"server_name": "h"}, {"verify": False}, {"verify": True}], ids=str)
def test_without_encryption_there_is_nothing_to_trust(said: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(Wrong, match="makes no sense without encryption"):
        forwarder(tmp_path)({"queue": "q", "to": "tcp://h", **said})
