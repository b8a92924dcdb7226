"""A peer that speaks raw frames and does as it is told: the other end of a link in tests of the client alone."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Self

import msgspec

from hubqueue.wire.frames import FrameReader, frame
from support.waiting import in_time

Answer = Callable[[str, dict[str, Any]], dict[str, Any] | None]


class Peer:
    """`async with Peer(answer) as peer`: `answer(cmd, fields)` gives the fields of a reply, or None for silence.

    Hello, Auth and Ping are answered here unless `answer` does; `seen` holds every other request in order.
    """

    def __init__(
        self, answer: Answer | None = None, *, token: str | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self.port = 0
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.greeted = 0
        self.hello: dict[str, Any] = {}
        self.pings = 0
        self.capabilities = ["pipelining", "separate-job-name"]
        self.silent = False
        self._answer = answer or (lambda cmd, fields: {})
        self._token = token
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.refuse()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"{'tls' if self._tls else 'tcp'}://127.0.0.1:{self.port}"

    async def listen(self) -> None:
        """Accept connections, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """Accept no more connections."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def cut(self) -> None:
        """Reset every connection."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    def push(self, message: dict[str, Any]) -> None:
        """Send a message nobody asked for to every connection."""
        for writer in self._writers:
            writer.write(frame(msgspec.msgpack.encode(message)))

    def write(self, data: bytes) -> None:
        """Send raw bytes to every connection."""
        for writer in self._writers:
            writer.write(data)

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        """Until the condition holds; looked at after every request."""
        async with in_time():
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._writers.add(writer)
        frames, known = FrameReader(), self._token is None
        try:
            while data := await reader.read(65536):
                for body in frames.feed(data):
                    request = msgspec.msgpack.decode(body)
                    known = self._reply(writer, request.pop("cmd"), request.pop("reqId"), request, known)
                    self._changed.set()
        except OSError:
            pass  # cut by the test
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    def _reply(self, writer: asyncio.StreamWriter, cmd: str, req_id: str, fields: dict[str, Any], known: bool) -> bool:
        reply: dict[str, Any] | None
        if cmd == "Auth" and self._token is not None:
            known = fields["token"] == self._token
            reply = {} if known else {"ok": False, "error": "Invalid token"}
        elif not known:
            reply = {"ok": False, "error": "Not authenticated"}
        elif cmd == "Hello":
            self.greeted += 1
            self.hello = fields
            reply = {"protocolVersion": 3, "capabilities": self.capabilities, "server": "scripted", "version": "1"}
        elif cmd == "Ping":
            self.pings += 1
            reply = {"data": {"pong": True, "time": 0.0}}
        else:
            self.seen.append((cmd, fields))
            reply = self._answer(cmd, fields)
        if reply is not None and not self.silent and not writer.transport.is_closing():
            writer.write(frame(msgspec.msgpack.encode({"ok": True, "reqId": req_id, **reply})))
        return known
