"""`open`: a hub in this process, as Python code holds it."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any, Self

from hubqueue.api.access import Access
from hubqueue.client.hubclient import HubClient
from hubqueue.client.local import LocalHub
from hubqueue.errors import Invalid
from hubqueue.hub.settings import HubSettings


class Embedded(Access):
    """A hub that lives in this process and keeps its jobs in one file. Made by `open`."""

    def __init__(self, path: Path, settings: HubSettings) -> None:
        self._path = path
        self._settings = settings
        self._hub: LocalHub | None = None

    def __repr__(self) -> str:
        return f"<hub {self._path}>"

    def __await__(self) -> Generator[Any, None, Self]:
        return self.open().__await__()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> Self:
        """Open the file. Errors: AlreadyOpen, NewerFile, DamagedFile, StoreError."""
        if self._hub is None:
            self._hub = await LocalHub.open(self._path, self._settings)
        return self

    async def close(self) -> None:
        """Store everything and close the file."""
        hub, self._hub = self._hub, None
        if hub is not None:
            await hub.close()

    @property
    def hub(self) -> LocalHub:
        """The engine itself."""
        if self._hub is None:
            raise Invalid("the hub is not open", hint="use 'async with hubqueue.open(path) as hub'")
        return self._hub

    @property
    def verbs(self) -> HubClient:
        return self.hub

    def _hub_id_of(self, seq: int) -> str:
        return self.hub.hub_id_of(seq)


def open(path: str | Path, **settings: Any) -> Embedded:
    """A hub on this file, which is made if it is not there: `async with hubqueue.open("edge.db") as hub`.

    settings: fields of hub.settings.HubSettings. Errors: Invalid for one that does not exist.
    """
    unknown = settings.keys() - HubSettings.__dataclass_fields__.keys()
    if unknown:
        known = ", ".join(HubSettings.__dataclass_fields__)
        raise Invalid(f"unknown settings: {', '.join(sorted(unknown))}", hint=f"known are {known}")
    return Embedded(Path(path), HubSettings(**settings))
