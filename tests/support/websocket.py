"""A bare WebSocket client for tests: JSON objects out, messages in, nothing hidden."""

from __future__ import annotations

from typing import Any

import aiohttp
import msgspec

from support.waiting import in_time

ANSWER_S = 10.0  # no answer by then is a failure


class WsClient:
    """One connection. `call` is for one request at a time; `send` and `read` are for everything else."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

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
        await self.socket.send_str(msgspec.json.encode(message).decode())

    async def read(self) -> dict[str, Any]:
        """The next message, in either encoding."""
        async with in_time():
            message = await self.socket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            decoded: dict[str, Any] = msgspec.json.decode(message.data)
        else:
            assert message.type is aiohttp.WSMsgType.BINARY, message
            decoded = msgspec.msgpack.decode(message.data)
        return decoded

    async def ended(self) -> int | None:
        """Read until the other side closes; its close code."""
        async with in_time():
            while not self.socket.closed:
                await self.socket.receive()
        return self.socket.close_code

    async def close(self) -> None:
        """Close, also what was reset: nothing of it may be left to the garbage collector."""
        await self.socket.close()
        self.socket._response.close()

    def abort(self) -> None:
        """Reset the connection."""
        connection = self.socket._response.connection
        assert connection is not None
        assert connection.transport is not None
        connection.transport.abort()
