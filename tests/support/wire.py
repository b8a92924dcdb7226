"""A bare client of the TCP protocol for tests: frames out, messages in, nothing hidden."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, Self

import msgspec

from support.waiting import in_time

ANSWER_S = 10.0  # no answer by then is a failure


class WireClient:
    """One connection. `call` is for one request at a time; `send` and `read` are for everything else."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int, *, context: ssl.SSLContext | None = None) -> Self:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, limit=1 << 27)
        return cls(reader, writer)

    async def call(self, cmd: str, **fields: object) -> dict[str, Any]:
        """Send a command and return its reply."""
        await self.send({"cmd": cmd, **fields})
        return await self.read()

    async def good(self, cmd: str, **fields: object) -> dict[str, Any]:
        """`call`, and the reply must be ok."""
        reply = await self.call(cmd, **fields)
        assert reply["ok"], reply
        return reply

    async def send(self, message: object) -> None:
        await self.send_bytes(frame(msgspec.msgpack.encode(message)))

    async def send_bytes(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def send_byte_by_byte(self, data: bytes) -> None:
        """Each byte in a write of its own, with a turn of the loop between."""
        for at in range(len(data)):
            self._writer.write(data[at : at + 1])
            await asyncio.sleep(0)

    async def read(self) -> dict[str, Any]:
        """The next message."""
        message: dict[str, Any] = msgspec.msgpack.decode(await self.read_bytes())
        return message

    async def read_bytes(self) -> bytes:
        """The body of the next frame."""
        async with in_time():
            length = int.from_bytes(await self._reader.readexactly(4), "big")
            return await self._reader.readexactly(length)

    async def ended(self) -> bytes:
        """Whatever still comes until the server ends the connection."""
        async with in_time():
            return await self._reader.read()

    async def close(self) -> None:
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            pass

    def abort(self) -> None:
        """Reset the connection."""
        self._writer.transport.abort()


def frame(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body
