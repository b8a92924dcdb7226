"""A small TCP relay that plays the uplink: open it passes bytes, shut it cuts every connection and takes none."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

_CHUNK_BYTES: Final = 65_536


class Uplink:
    """Listens on a free loopback port and relays to `host:port` while it is open."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._open = True
        self._server: asyncio.Server | None = None
        self._relays: set[asyncio.Task[None]] = set()

    @property
    def is_open(self) -> bool:
        return self._open

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    def shut(self) -> None:
        """Cut what is connected; until `reopen`, whoever connects is cut at once."""
        self._open = False
        for relay in self._relays:
            relay.cancel()

    def reopen(self) -> None:
        self._open = True

    async def close(self) -> None:
        self.shut()
        if self._server is not None:
            self._server.close()
        await asyncio.gather(*self._relays, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._open:
            writer.transport.abort()
            return
        relay = asyncio.create_task(self._relay(reader, writer))
        self._relays.add(relay)
        relay.add_done_callback(self._relays.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            ends.append(far_writer)
            async with asyncio.TaskGroup() as both:
                both.create_task(_copy(reader, far_writer))
                both.create_task(_copy(far_reader, writer))
        except* OSError:
            pass  # either side went away: the other one is cut below
        finally:
            for end in ends:
                end.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(_CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
    writer.transport.abort()
