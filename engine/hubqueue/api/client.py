"""`Client`: a hub elsewhere, over TCP, as Python code holds it."""

from __future__ import annotations

from typing import Self

from hubqueue.api.access import Access
from hubqueue.api.units import Duration, duration_ms
from hubqueue.client.address import LinkSettings
from hubqueue.client.hubclient import HubClient
from hubqueue.client.remote import RemoteHub
from hubqueue.errors import Invalid


class Client(Access):
    """A hub over TCP: `async with Client("tls://host:6789", token=...) as hub`.

    The link comes back by itself; what was asked meanwhile waits for it, up to `timeout`.
    """

    def __init__(
        self,
        url: str = "tcp://127.0.0.1:6789",
        *,
        token: str | None = None,
        ca_file: str | None = None,
        cert_file: str | None = None,
        key_file: str | None = None,
        check_hostname: bool = True,
        timeout: Duration = 30,
    ) -> None:
        self._remote = RemoteHub(
            LinkSettings.from_url(
                url,
                token=token,
                ca_file=ca_file,
                cert_file=cert_file,
                key_file=key_file,
                check_hostname=check_hostname,
                request_timeout_s=duration_ms("timeout", timeout) / 1000,
            )
        )

    def __repr__(self) -> str:
        return f"<client of {self._remote.link.settings.url}>"

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> Self:
        """Connect. Errors: LinkDown, NotAuthenticated: the first connection is not waited for."""
        await self._remote.open()
        return self

    async def close(self) -> None:
        """End the link cleanly."""
        await self._remote.close()

    @property
    def verbs(self) -> HubClient:
        return self._remote

    @property
    def connected(self) -> bool:
        """Whether the link is up now."""
        return self._remote.link.state.up

    def _hub_id_of(self, seq: int) -> str:
        hub_id = self._remote.link.peer.hub_id
        if hub_id is None:
            raise Invalid("this hub does not say its hub_id", hint="forward from the hub itself")
        return hub_id
