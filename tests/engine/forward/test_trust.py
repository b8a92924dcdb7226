"""Who a forwarder trusts and what it shows of itself, towards real hubs with TLS; and what is said if that fails."""

from __future__ import annotations

import stat
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web

from hubqueue.client.address import Tls
from hubqueue.client.tls import client_context
from hubqueue.errors import Invalid
from hubqueue.forward.breaker import LinkState
from hubqueue.forward.verdict import Down
from hubqueue.hub import forwarders
from hubqueue.model.forwarding import SECRETS, ForwardSpec
from support.certificates import Certificates, make
from support.fleet import Edge, Watch, arrived, decode
from support.http_server import serving
from support.served import Served, served
from support.waiting import until

YESTERDAY = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture
def files(tmp_path: Path) -> Certificates:
    return make(tmp_path / "right")


async def tried(edge: Edge, to: str, **fields: Any) -> tuple[str, str] | None:
    """The reason and the words of a test; None: all is well."""
    found = await edge.fleet.test(ForwardSpec(name="up", queue="readings", to=to, **fields))
    assert found is None or isinstance(found, Down)
    return None if found is None else (found.reason.value, found.error)


async def test_jobs_go_to_a_hub_of_a_private_ca_that_asks_for_a_certificate(
    edge: Edge, files: Certificates, tmp_path: Path
) -> None:
    async with served(tmp_path / "central.db", certificates=files, mutual=True) as there:
        await edge.add(3)
        await edge.put(there.url, ca_cert=files.ca.read_text(), client_cert=files.client.read_text())
        await edge.shows(lambda status: status.now.forwarded == 3)
        assert await arrived(there) == [0, 1, 2]


async def test_who_shows_no_certificate_or_a_wrong_one_is_told_so(
    edge: Edge, files: Certificates, tmp_path: Path
) -> None:
    strangers = make(tmp_path / "strangers")
    late = make(tmp_path / "late", client_until=YESTERDAY)
    ca = files.ca.read_text()
    async with served(tmp_path / "central.db", certificates=files, mutual=True) as there:
        for client_cert in (None, strangers.client.read_text()):
            found = await tried(edge, there.url, ca_cert=ca, client_cert=client_cert)
            assert found is not None
            assert found[0] == "tls", found
            assert "without a certificate that it accepts" in found[1]
    async with served(tmp_path / "other.db", certificates=late, mutual=True) as there:
        found = await tried(edge, there.url, ca_cert=late.ca.read_text(), client_cert=late.client.read_text())
        assert found is not None
        assert (found[0], "without a certificate that it accepts" in found[1]) == ("tls", True)


async def test_a_certificate_of_the_other_side_that_does_not_do_is_told_with_the_reason(
    edge: Edge, files: Certificates, tmp_path: Path
) -> None:
    late = make(tmp_path / "late", until=YESTERDAY)
    elsewhere = make(tmp_path / "elsewhere", "central.example.org")
    for number, (shown, ca, said) in enumerate(
        [
            (files, files.other_ca, "unable to get local issuer certificate"),
            (files, None, "unable to get local issuer certificate"),
            (late, late.ca, "certificate has expired"),
            (elsewhere, elsewhere.ca, "not valid for '127.0.0.1'"),
        ]
    ):
        async with served(tmp_path / f"central{number}.db", certificates=shown) as there:
            found = await tried(edge, there.url, ca_cert=None if ca is None else ca.read_text())
            assert found is not None
            assert (found[0], said in found[1]) == ("tls", True), found
            assert await tried(edge, there.url, verify=False) is None


async def test_the_certificate_may_be_for_another_name_that_is_given(edge: Edge, tmp_path: Path) -> None:
    elsewhere = make(tmp_path / "elsewhere", "central.example.org")
    ca = elsewhere.ca.read_text()
    async with served(tmp_path / "central.db", certificates=elsewhere) as there:
        assert await tried(edge, there.url, ca_cert=ca, server_name="central.example.org") is None
        found = await tried(edge, there.url, ca_cert=ca, server_name="other.example.org")
        assert found is not None
        assert (found[0], "other.example.org" in found[1]) == ("tls", True)


async def test_a_port_that_is_another_one_is_told_so(
    edge: Edge, files: Certificates, served_hub: Served, tmp_path: Path
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="no hub")

    async with serving(answer) as site, served(tmp_path / "tls.db", certificates=files) as encrypted:
        found = await tried(edge, site.replace("http", "tcp"))
        assert found is not None
        assert (found[0], "HTTP" in found[1]) == ("protocol", True)
        found = await tried(edge, f"tls://127.0.0.1:{served_hub.port}", ca_cert=files.ca.read_text())
        assert found is not None
        assert found[0] == "tls"
        assert "not trusted" not in found[1]
        found = await tried(edge, f"tcp://127.0.0.1:{encrypted.port}")
        assert found is not None
        assert "tls://" in found[1], found


def _two_keys() -> tuple[str, str]:
    ca = trustme.CA()
    one, other = ca.issue_cert("one"), ca.issue_cert("other")
    return one.cert_chain_pems[0].bytes().decode(), other.private_key_pem.bytes().decode()


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"ca_cert": "no certificate"}, "certificate of the CA cannot be used"),
        ({"ca_cert": "né à Köln"}, "certificate of the CA cannot be used"),
        ({"client_cert": "no certificate"}, "no certificate in the client certificate"),
        ({"client_cert": _two_keys()[0]}, "no private key in the client certificate"),
        ({"client_cert": "\n".join(_two_keys())}, "the private key belongs to another one"),
        ({"client_cert": "-----BEGIN CERTIFICATE-----\nPRIVATE KEY-----"}, "cannot be used"),
        ({"server_name": "a b"}, "no name of a host"),
        ({"server_name": ".a"}, "no name of a host"),
        ({"to": "tcp://h", "client_cert": "x"}, "without encryption"),
        ({"to": "tcp://h", "server_name": "a"}, "without encryption"),
        ({"to": "tcp://h", "verify": False}, "without encryption"),
    ],
)
async def test_what_cannot_be_used_is_refused_and_not_kept(edge: Edge, fields: dict[str, Any], what: str) -> None:
    with pytest.raises(Invalid, match=what):
        await edge.put(**{"to": "tls://h", **fields})
    assert await edge.hub.run(forwarders.every) == []


def test_a_key_with_a_passphrase_asks_nobody(files: Certificates) -> None:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"hush"),
    ).decode()
    with pytest.raises(Invalid, match="has a passphrase"):
        client_context(Tls(cert_text=files.cert.read_text() + locked))
    files.key.write_text(locked)
    with pytest.raises(Invalid, match="has a passphrase"):
        client_context(Tls(cert_file=str(files.cert), key_file=str(files.key)))


async def test_certificates_are_kept_as_the_token_is(edge: Edge, files: Certificates, tmp_path: Path) -> None:
    ca, client = files.ca.read_text(), files.client.read_text()
    async with served(tmp_path / "central.db", certificates=files, mutual=True) as there:
        await edge.put(there.url, ca_cert=ca, client_cert=client)
        await edge.fleet.put(ForwardSpec(name="up", queue="readings", to=there.url, batch=7), keep=SECRETS)
        status = await edge.shows(lambda status: status.now.link is LinkState.UP)
        assert "PRIVATE KEY" not in repr(status)
        kept = (await edge.hub.run(forwarders.every))[0].spec
        assert kept is not None
        assert (kept.ca_cert, kept.client_cert, "PRIVATE KEY" in repr(kept)) == (ca, client, False)
        assert _modes(tmp_path, "edge.db*") == {0o600}
        assert "client-certificate" not in _open_files()
    await edge.fleet.put(ForwardSpec(name="up", queue="readings", to="tls://127.0.0.1:1"), keep=SECRETS)
    assert (await edge.status()).plan.destination.tls == Tls()


def _modes(folder: Path, files: str) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.glob(files)}


def _open_files() -> str:
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # it was the one of this very look
            found.append(str(link.readlink()))
    return " ".join(found)


async def test_what_is_put_again_as_it_is_goes_on_undisturbed(edge: Edge, served_hub: Served) -> None:
    await edge.put(served_hub.url, token="t")
    before = await edge.shows(lambda status: status.now.link is LinkState.UP)
    uplink = edge.fleet._uplinks["up"]
    await edge.put(served_hub.url, token="t")
    assert edge.fleet._uplinks["up"] is uplink
    await edge.put(served_hub.url, token="another")
    assert edge.fleet._uplinks["up"] is not uplink
    assert before.plan.destination.has_secret


async def test_a_link_that_is_down_for_another_reason_now_is_told_and_is_one_loss(
    edge: Edge, files: Certificates, tmp_path: Path
) -> None:
    watch = Watch(edge.hub)
    async with served(tmp_path / "central.db", certificates=files) as there:
        await edge.put(there.url, ca_cert=files.ca.read_text())
        await edge.shows(lambda status: status.now.link is LinkState.UP)
        port = there.port
    reasons = lambda: [decode(event.data or b"")["reason"] for event in watch.of("forwarder:link")]  # noqa: E731
    await until(lambda: reasons()[-1:] == ["unreachable"])
    async with served(tmp_path / "central.db", certificates=make(tmp_path / "others"), port=port):
        await until(lambda: reasons()[-1:] == ["tls"])
        assert (await edge.status()).now.losses == 1
