"""TLS on a client's link: a private CA is enough, and nothing less."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from hubqueue.client.address import LinkSettings, parse_url
from hubqueue.client.session import Session
from hubqueue.errors import Invalid, LinkDown
from support import certificates
from support.certificates import Certificates
from support.peer import Peer


@pytest.fixture
def files(tmp_path: Path) -> Certificates:
    return certificates.make(tmp_path)


def server_context(files: Certificates) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.cert, files.key)
    return context


async def test_a_private_ca_is_trusted_when_it_is_given(files: Certificates) -> None:
    async with Peer(tls=server_context(files)) as peer:
        session = await Session.open(LinkSettings.from_url(peer.url, ca_file=str(files.ca)))
        await session.request("Echo", {})
        await session.close()


async def test_another_ca_is_refused(files: Certificates) -> None:
    async with Peer(tls=server_context(files)) as peer:
        with pytest.raises(LinkDown, match="not trusted") as raised:
            await Session.open(LinkSettings.from_url(peer.url, ca_file=str(files.other_ca)))
        assert "ca_file" in raised.value.hint


async def test_a_private_ca_is_refused_when_it_is_not_given(files: Certificates) -> None:
    async with Peer(tls=server_context(files)) as peer:
        with pytest.raises(LinkDown, match="not trusted"):
            await Session.open(LinkSettings.from_url(peer.url))


async def test_a_name_that_the_certificate_does_not_hold_is_refused(tmp_path: Path) -> None:
    files = certificates.make(tmp_path / "other", "hub.example")
    async with Peer(tls=server_context(files)) as peer:
        with pytest.raises(LinkDown, match="not trusted"):
            await Session.open(LinkSettings.from_url(peer.url, ca_file=str(files.ca)))
        session = await Session.open(LinkSettings.from_url(peer.url, ca_file=str(files.ca), check_hostname=False))
        await session.close()


async def test_plain_bytes_to_a_tls_port_are_a_link_that_is_down(files: Certificates) -> None:
    async with Peer(tls=server_context(files)) as peer:
        with pytest.raises(LinkDown):
            await Session.open(LinkSettings(port=peer.port))


async def test_tls_to_a_plain_port_is_a_link_that_is_down(files: Certificates) -> None:
    async with Peer() as peer:
        url = f"tls://127.0.0.1:{peer.port}"
        with pytest.raises(LinkDown):
            await Session.open(LinkSettings.from_url(url, ca_file=str(files.ca), connect_timeout_s=2))


async def test_a_client_certificate_is_shown_when_it_is_asked_for(files: Certificates) -> None:
    context = server_context(files)
    context.load_verify_locations(files.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    async with Peer(tls=context) as peer:
        with pytest.raises(LinkDown):
            await Session.open(LinkSettings.from_url(peer.url, ca_file=str(files.ca)))
        own = LinkSettings.from_url(peer.url, ca_file=str(files.ca), cert_file=str(files.cert), key_file=str(files.key))
        session = await Session.open(own)
        await session.close()


async def test_files_that_cannot_be_read_are_named(tmp_path: Path, files: Certificates) -> None:
    missing = str(tmp_path / "missing.pem")
    with pytest.raises(Invalid, match=r"missing\.pem"):
        await Session.open(LinkSettings.from_url("tls://127.0.0.1", ca_file=missing))
    with pytest.raises(Invalid, match=r"missing\.pem"):
        await Session.open(LinkSettings.from_url("tls://127.0.0.1", ca_file=str(files.ca), cert_file=missing))
    with pytest.raises(Invalid, match="needs its certificate"):
        await Session.open(LinkSettings.from_url("tls://127.0.0.1", ca_file=str(files.ca), key_file=missing))


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("tcp://hub", ("hub", 6789, False)),
        ("tls://hub.local:7000", ("hub.local", 7000, True)),
        ("tcp://[::1]:7000/", ("::1", 7000, False)),
    ],
)
def test_addresses_are_read(url: str, parts: tuple[str, int, bool]) -> None:
    assert parse_url(url) == parts


@pytest.mark.parametrize(
    "url",
    ["hub:6789", "http://hub", "tcp://", "tcp://hub:99999", "tcp://hub/path", "tcp://user:pw@hub", "tcp://hub?x=1"],
)
def test_other_addresses_are_refused_with_the_right_form(url: str) -> None:
    with pytest.raises(Invalid) as raised:
        parse_url(url)
    assert raised.value.hint


def test_certificates_for_a_link_that_is_not_encrypted_are_a_mistake() -> None:
    with pytest.raises(Invalid, match="tcp://hub"):
        LinkSettings.from_url("tcp://hub", ca_file="ca.pem")
