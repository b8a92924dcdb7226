"""A TCP proxy that breaks links on purpose: pass, refuse, half-open, late, cut at once or in the middle of a frame.

Real sockets on both sides: what a client or forwarder meets here is what a bad uplink does to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum
from types import TracebackType
from typing import Self

from support.waiting import in_time

CHUNK_BYTES = 64 * 1024


class Uplink(Enum):
    """What becomes of connections and bytes. A connection that lost bytes never recovers: TCP would not let it."""

    PASS = "pass"
    REFUSE = "refuse"  # nobody listens
    SILENT = "silent"  # half-open: accepted, read, never answered, nothing passed on; open connections too
    MUTE = "mute"  # requests pass, answers do not


class Proxy:
    """`async with Proxy(server_port) as proxy`: connect to `proxy.port`.

    Units: delay_s seconds that every chunk is late, each way.
    """

    def __init__(self, server_port: int, host: str = "127.0.0.1") -> None:
        self.server_port = server_port
        self.port = 0
        self.delay_s = 0.0
        self.chunks: asyncio.Semaphore | None = None  # those that may go to the server; None: all
        self.accepted = 0
        self.passed_up = 0  # bytes towards the server
        self.passed_down = 0
        self.swallowed = 0  # bytes of the server that were not passed on, as told
        self._host = host
        self._mode = Uplink.PASS
        self._cut_up_at: int | None = None
        self._cut_down_at: int | None = None
        self.hangs_up_on: bytes | None = None  # what must not come from a client: both ends are reset
        self.hung_up = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._unlisten()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def set(self, mode: Uplink) -> None:
        """From now on do this, to new connections and (but for REFUSE) to the open ones."""
        self._mode = mode
        if mode is Uplink.REFUSE:
            await self._unlisten()
        elif self._server is None:
            await self._listen()
        self._tell()

    def cut(self) -> None:
        """Reset every open connection."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    def cut_after(self, *, up: int | None = None, down: int | None = None) -> None:
        """Reset the connections once so many more bytes have gone to the server (up) or to the client (down)."""
        self._cut_up_at = None if up is None else self.passed_up + up
        self._cut_down_at = None if down is None else self.passed_down + down

    async def wait_accepted(self, count: int) -> None:
        """Until so many connections have been accepted since the start."""
        await self._until(lambda: self.accepted >= count)

    async def wait_passed_up(self, count: int) -> None:
        """Until so many bytes have gone to the server since the start."""
        await self._until(lambda: self.passed_up >= count)

    async def wait_swallowed(self, count: int) -> None:
        """Until so many bytes of answers have been swallowed since the start."""
        await self._until(lambda: self.swallowed >= count)

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with in_time():
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, self._host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _unlisten(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._writers.add(writer)
        self.accepted += 1
        self._tell()
        try:
            if self._mode is Uplink.SILENT:
                while await reader.read(CHUNK_BYTES):
                    pass
                return
            server_reader, server_writer = await asyncio.open_connection(self._host, self.server_port)
            self._writers.add(server_writer)
            for end in (writer, server_writer):
                end.transport.set_write_buffer_limits(0)  # drained means gone: a cut takes nothing back
            try:
                up = asyncio.create_task(self._pump(reader, server_writer, up=True))
                down = asyncio.create_task(self._pump(server_reader, writer, up=False))
                try:
                    await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    up.cancel()
                    down.cancel()
                    await asyncio.gather(up, down, return_exceptions=True)
            finally:
                self._writers.discard(server_writer)
                server_writer.transport.abort()
        except (OSError, asyncio.CancelledError):
            pass  # the server is gone, or the proxy ends: so does this connection
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool) -> None:
        torn = False
        tail = b""
        while chunk := await reader.read(CHUNK_BYTES):
            if up and self.hangs_up_on is not None:
                if self.hangs_up_on in tail + chunk:
                    self.hung_up += 1
                    self._tell()
                    return
                tail = (tail + chunk)[1 - len(self.hangs_up_on) :]
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            if up and self.chunks is not None:
                await self.chunks.acquire()
            torn = torn or self._mode is Uplink.SILENT or (self._mode is Uplink.MUTE and not up)
            if torn:
                self.swallowed += 0 if up else len(chunk)
                self._tell()
                continue
            mark = self._cut_up_at if up else self._cut_down_at
            passed = self.passed_up if up else self.passed_down
            cut = mark is not None and passed + len(chunk) >= mark
            if cut and mark is not None:
                chunk = chunk[: mark - passed]
            writer.write(chunk)
            await writer.drain()
            if up:
                self.passed_up += len(chunk)
            else:
                self.passed_down += len(chunk)
            self._tell()
            if cut:
                self.cut_after()
                self.cut()
                return
