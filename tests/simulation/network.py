"""The network of a simulation: links that take their time, keep their order, and can be cut or fall silent. No sockets.

Ends belong to the process that made them: what arrives runs in it, and its kill ends them.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from simulation.process import PROCESS, Process

FIRST_PORT = 40_000
LATENCY_S = 0.02  # at most, one way
SILENT_S = 40.0  # at most, until the kernel finds that nobody answers


def nobody(function: Callable[..., Any], *args: Any) -> None:
    """What the network does is done by no process: it goes on when one is killed."""
    contextvars.Context().run(function, *args)


class Network:
    """trace: what arrived, when and where: (time in s, link, bytes), and ends of links as None."""

    def __init__(self, loop: asyncio.AbstractEventLoop, chance: random.Random) -> None:
        self.trace: list[tuple[float, str, bytes | None]] = []
        self._loop = loop
        self._chance = chance
        self._servers: dict[int, Server] = {}
        self._links: list[tuple[End, End]] = []
        self._past: list[object] = []  # of processes that are gone: nobody is to clear it away
        self._made = 0
        self.up = asyncio.Event()  # else nobody gets through to connect
        self.up.set()

    def listen(self, factory: Callable[[], Any], port: int) -> Server:
        port = port or FIRST_PORT + len(self._servers)
        if port in self._servers:
            raise OSError(98, "Address already in use")
        server = self._servers[port] = Server(self, factory, port)
        return server

    def unlisten(self, port: int) -> None:
        self._servers.pop(port, None)

    async def connect(self, factory: Callable[[], Any], port: int) -> tuple[End, Any]:
        await asyncio.sleep(self.latency_s())
        await self.up.wait()
        server = self._servers.get(port)
        if server is None:
            raise ConnectionRefusedError(111, "Connection refused")
        self._made += 1
        name = f"{self._made} to {port}"
        here, there = End(self, f"{name}: answers"), End(self, f"{name}: requests")
        here.other, there.other = there, here
        self._links.append((here, there))
        for end, make, process in ((there, server.factory, server.process), (here, factory, PROCESS.get())):
            end.process = process
            end.call(end.begin, make)
        return here, here.protocol

    def cut(self) -> int:
        """Cut every link that there is; how many."""
        links, self._links = self._links, []
        self._past += links
        for ends in links:
            for end in ends:
                end.broken()
        return len(links)

    def silence(self) -> Callable[[], None]:
        """Nothing arrives any more over the links that there are, and nobody is told. Returns what cuts them."""
        links, self._links = self._links, []
        self._past += links
        for ends in links:
            for end in ends:
                end.silent = True

        def cut() -> None:
            for ends in links:
                for end in ends:
                    end.broken()

        return cut

    def without(self, process: Process, *, silent: bool = False) -> None:
        """A process is gone. silent: with its machine, so that the others hear of it when they cannot wait any more."""
        for port in [port for port, server in self._servers.items() if server.process is process]:
            self._past.append(self._servers.pop(port))
        for ends in self._links:
            for end in ends:
                if end.process is process:
                    end.die(silent=silent)

    def latency_s(self) -> float:
        return self._chance.random() * LATENCY_S

    def chance(self) -> float:
        return self._chance.random()

    def note(self, link: str, data: bytes | None) -> None:
        self.trace.append((self._loop.time(), link, data))


class Server:
    """What `create_server` returns."""

    def __init__(self, network: Network, factory: Callable[[], Any], port: int) -> None:
        self.factory = factory
        self.process = PROCESS.get()
        self._network = network
        self._port = port

    @property
    def sockets(self) -> list[Server]:
        return [self]

    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", self._port

    def close(self) -> None:
        self._network.unlisten(self._port)


class End(asyncio.Transport):
    """One end of a link: what is written here arrives at the other, in order."""

    other: End
    protocol: Any
    process: Process | None

    def __init__(self, network: Network, name: str) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self._network = network
        self._loop = network._loop
        self._name = name  # of what arrives here
        self._arrives_s = 0.0  # the last of what was written here
        self._under_way: deque[Callable[[], None]] = deque()
        self._closing = False
        self._lost = False
        self._paused = False
        self._held: list[bytes] = []
        self.silent = False

    def begin(self, make: Callable[[], Any]) -> None:
        self.protocol = make()
        self.protocol.connection_made(self)

    def call(self, function: Callable[..., Any], *args: Any) -> None:
        """In the process whose end it is."""
        if self.process is None:
            function(*args)
        else:
            self.process.run(self.process.step, function, *args)

    def write(self, data: Any) -> None:
        if not self._closing:
            self._send(partial(self.other._arrive, bytes(data)))

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._send(self.other._ended)
            self._loop.call_soon(self._lose, None)

    def abort(self) -> None:
        self.close()

    def broken(self) -> None:
        """The link was cut: what is under way is lost."""
        self._closing = True
        nobody(self._loop.call_soon, self._lose, ConnectionResetError(104, "Connection reset by peer"))

    def die(self, *, silent: bool) -> None:
        """The process is gone; its kernel says so, unless it is gone, too."""
        if self._lost:
            return
        self._closing = self._lost = True
        if silent:
            self.other.silent = True
            nobody(self._loop.call_later, SILENT_S * self._network.chance(), self.other.broken)
        else:
            self._send(self.other.broken)

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        held, self._held = self._held, []
        for data in held:
            self._arrive(data)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def _send(self, arrive: Callable[[], None]) -> None:
        self._under_way.append(arrive)  # timers of the same moment keep no order
        self._arrives_s = max(self._arrives_s, self._loop.time() + self._network.latency_s())
        nobody(self._loop.call_at, self._arrives_s, lambda: self._under_way.popleft()())

    def _arrive(self, data: bytes) -> None:
        if self._lost or self.silent:
            return
        if self._paused:
            self._held.append(data)
            return
        self._network.note(self._name, data)
        self.call(lambda: self.protocol.data_received(data))  # a frozen process has none yet

    def _ended(self) -> None:
        if not self._lost and not self.silent:
            self.call(self._eof)

    def _eof(self) -> None:
        if not self.protocol.eof_received():
            self.close()

    def _lose(self, error: Exception | None) -> None:
        if not self._lost:
            self._lost = True
            self._network.note(self._name, None)
            self.call(lambda: self.protocol.connection_lost(error))
