"""Says in the local network that there is a hub (DNS-SD, `_hubqueue._tcp.local.`), so that Home Assistant finds it.

Only what anybody may know is told: the hub's id, version and where its HTTP port is. Built by app.py.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Mapping
from typing import Final

import ifaddr
from zeroconf import IPVersion, NonUniqueNameException
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

SERVICE: Final = "_hubqueue._tcp.local."
API: Final = "1"  # of /api/v1: who finds another one knows that it is too old, or too new

log = logging.getLogger(__name__)


class Announcement:
    """Told from `start` to `close`.

    host: what the HTTP port is bound to; 0.0.0.0 or ::, every address of the machine. app: it runs as an app of Home
    Assistant, which hears of it in another way.
    """

    def __init__(self, hub_id: str, version: str, host: str, port: int, *, tls: bool, app: bool = False) -> None:
        self._properties: Mapping[str, str] = {
            "hub_id": hub_id,
            "version": version,
            "api": API,
            "tls": "1" if tls else "0",
            "app": "1" if app else "0",
        }
        self._hub_id = hub_id
        self._host = host
        self._port = port
        self._task: asyncio.Task[None] | None = None
        self._zeroconf: AsyncZeroconf | None = None

    def start(self) -> None:
        """Begin to tell. Nothing waits for it: that nobody else has the name takes a second to find out."""
        self._task = asyncio.create_task(self._tell(), name="announce")

    async def close(self) -> None:
        """Say that it is not there any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._zeroconf is not None:
            await self._zeroconf.async_unregister_all_services()
            await self._zeroconf.async_close()

    async def _tell(self) -> None:
        addresses, everywhere = self._addresses()
        info = AsyncServiceInfo(
            SERVICE,
            f"{socket.gethostname().partition('.')[0]} {self._hub_id}.{SERVICE}",
            parsed_addresses=addresses,
            port=self._port,
            properties=dict(self._properties),
            server=f"hubqueue-{self._hub_id}.local.",
        )
        try:
            self._zeroconf = (
                AsyncZeroconf(ip_version=IPVersion.V4Only) if everywhere else AsyncZeroconf(interfaces=addresses)
            )
            await (await self._zeroconf.async_register_service(info))
        except (OSError, NonUniqueNameException) as error:
            log.warning("The hub cannot be announced in the network error=%s", error)
        else:
            log.info("announced name=%s port=%d", info.name.removesuffix(f".{SERVICE}"), self._port)

    def _addresses(self) -> tuple[list[str], bool]:
        """Where others find the HTTP port, and whether that is every address of the machine."""
        try:
            given = ipaddress.ip_address(self._host)
        except ValueError:  # a name
            return [socket.gethostbyname(self._host)], False
        if not given.is_unspecified:
            return [str(given)], False
        found = [str(ip.ip) for adapter in ifaddr.get_adapters() for ip in adapter.ips if ip.is_IPv4]
        return [each for each in found if not ipaddress.ip_address(each).is_loopback] or found, True
