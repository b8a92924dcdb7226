"""A hub with its TCP door open, in this process: for clients, workers and forwarders to come to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from hubqueue.client.local import LocalHub
from hubqueue.hub.settings import HubSettings
from hubqueue.servers.settings import TcpSettings, TlsFiles
from hubqueue.servers.tcp import TcpServer
from hubqueue.store.disk import DISK, Disk
from hubqueue.system import SYSTEM, System
from support.certificates import Certificates
from support.context import context_of


@dataclass(frozen=True)
class Served:
    """The hub, its listener and where it is."""

    hub: LocalHub
    server: TcpServer
    url: str

    @property
    def port(self) -> int:
        return self.server.port


@asynccontextmanager
async def served(
    path: Path,
    *,
    settings: HubSettings | None = None,
    tokens: tuple[str, ...] = (),
    certificates: Certificates | None = None,
    mutual: bool = False,
    port: int = 0,
    system: System = SYSTEM,
    disk: Disk = DISK,
) -> AsyncIterator[Served]:
    """Open the hub and its listener on a free port; close both at the end. mutual: clients show a certificate."""
    tls = None
    if certificates is not None:
        client_ca = certificates.ca if mutual else None
        tls = TlsFiles(cert=certificates.cert, key=certificates.key, client_ca=client_ca)
    async with await LocalHub.open(path, settings, system=system, disk=disk) as hub:
        server = TcpServer(context_of(hub, tokens), TcpSettings(port=port, tls=tls, drain_s=0.5))
        await server.start()
        try:
            yield Served(hub, server, f"{'tls' if tls else 'tcp'}://127.0.0.1:{server.port}")
        finally:
            await server.close()
