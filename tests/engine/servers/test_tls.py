"""TLS on the TCP door: a private CA, client certificates, and clear words for files that are no good."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme

from hubqueue.errors import ConfigError
from hubqueue.hub.hub import Hub
from hubqueue.servers.settings import TcpSettings, TlsFiles
from hubqueue.servers.tcp import TcpServer
from support import certificates
from support.certificates import Certificates
from support.context import context_of
from support.wire import WireClient, frame


@pytest.fixture
def files(tmp_path: Path) -> Certificates:
    return certificates.make(tmp_path / "tls")


@pytest.fixture
def settings(files: Certificates) -> TcpSettings:
    return TcpSettings(port=0, tls=TlsFiles(cert=files.cert, key=files.key), drain_s=0.1)


async def test_a_client_that_trusts_the_private_ca_is_served(server: TcpServer, files: Certificates) -> None:
    client = await WireClient.open(server.port, context=ssl.create_default_context(cafile=str(files.ca)))
    await client.good("PUSH", queue="q", name="n", data=b"x" * 300_000)
    await client.close()


async def test_no_session_tickets_follow_the_handshake(server: TcpServer, files: Certificates) -> None:
    context = ssl.create_default_context(cafile=str(files.ca))
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
    writer.write(frame(b"not MessagePack"))
    await reader.readexactly(4)  # tickets would have come before this answer
    session = writer.get_extra_info("ssl_object").session
    assert not session.has_ticket
    writer.transport.abort()


async def test_a_client_with_another_ca_refuses_the_server(server: TcpServer, files: Certificates) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await WireClient.open(server.port, context=ssl.create_default_context(cafile=str(files.other_ca)))
    client = await WireClient.open(server.port, context=ssl.create_default_context(cafile=str(files.ca)))
    await client.good("Ping")
    await client.close()


async def test_plain_text_to_a_tls_port_is_closed(server: TcpServer) -> None:
    client = await WireClient.open(server.port)
    await client.send({"cmd": "Ping"})
    with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
        await client.read()
    await client.close()


async def test_client_certificates_are_asked_for_where_a_ca_is_given(hub: Hub, tmp_path: Path) -> None:
    ca = trustme.CA()
    server_cert, client_cert = ca.issue_cert("127.0.0.1"), ca.issue_cert("client@example.org")
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    server_cert.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    server_cert.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    tls = TlsFiles(cert=tmp_path / "cert.pem", key=tmp_path / "key.pem", client_ca=tmp_path / "ca.pem")
    server = TcpServer(context_of(hub), TcpSettings(port=0, tls=tls, drain_s=0.1))
    await server.start()
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    stranger = await WireClient.open(server.port, context=context)
    with pytest.raises((ssl.SSLError, ConnectionResetError, asyncio.IncompleteReadError)):
        await stranger.call("Ping")
    client_cert.configure_cert(context)
    client = await WireClient.open(server.port, context=context)
    await client.good("Ping")
    await client.close()
    await server.close()


def broken(files: Certificates, tmp_path: Path) -> dict[str, TlsFiles]:
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("not a certificate")
    other = certificates.make(tmp_path / "other")
    return {
        "missing file": TlsFiles(cert=tmp_path / "nowhere.pem", key=files.key),
        "no PEM": TlsFiles(cert=nonsense, key=files.key),
        "key of another": TlsFiles(cert=files.cert, key=other.key),
        "no CA": TlsFiles(cert=files.cert, key=files.key, client_ca=nonsense),
    }


@pytest.mark.parametrize("what", ["missing file", "no PEM", "key of another", "no CA"])
async def test_files_that_are_no_good_are_named(hub: Hub, files: Certificates, tmp_path: Path, what: str) -> None:
    tls = broken(files, tmp_path)[what]
    with pytest.raises(ConfigError) as raised:
        TcpServer(context_of(hub), TcpSettings(port=0, tls=tls))
    assert ".pem" in raised.value.message
    assert raised.value.hint
