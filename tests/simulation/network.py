"""The network of a simulation: links that take their time, keep their order, and can be cut. No sockets."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

FIRST_PORT = 40_000
LATENCY_S = 0.02  # at most, one way


class Network:
    """trace: what arrived, when and where: (time in s, link, bytes), and ends of links as None."""

    def __init__(self, loop: asyncio.AbstractEventLoop, chance: random.Random) -> None:
        self.trace: list[tuple[float, str, bytes | None]] = []
        self._loop = loop
        self._chance = chance
        self._servers: dict[int, Server] = {}
        self._links: list[tuple[End, End]] = []
        self._made = 0

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
        server = self._servers.get(port)
        if server is None:
            raise ConnectionRefusedError(111, "Connection refused")
        self._made += 1
        name = f"{self._made} to {port}"
        here, there = End(self, f"{name}: answers"), End(self, f"{name}: requests")
        here.other, there.other = there, here
        self._links.append((here, there))
        for end, make in ((there, server.factory), (here, factory)):
            end.protocol = make()
            end.protocol.connection_made(end)
        return here, here.protocol

    def cut(self) -> int:
        """Cut every link that there is; how many."""
        links, self._links = self._links, []
        for ends in links:
            for end in ends:
                end.broken()
        return len(links)

    def latency_s(self) -> float:
        return self._chance.random() * LATENCY_S

    def note(self, link: str, data: bytes | None) -> None:
        self.trace.append((self._loop.time(), link, data))


class Server:
    """What `create_server` returns."""

    def __init__(self, network: Network, factory: Callable[[], Any], port: int) -> None:
        self.factory = factory
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
        self._loop.call_soon(self._lose, ConnectionResetError(104, "Connection reset by peer"))

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
        self._loop.call_at(self._arrives_s, lambda: self._under_way.popleft()())

    def _arrive(self, data: bytes) -> None:
        if self._lost:
            return
        if self._paused:
            self._held.append(data)
            return
        self._network.note(self._name, data)
        self.protocol.data_received(data)

    def _ended(self) -> None:
        if not self._lost and not self.protocol.eof_received():
            self.close()

    def _lose(self, error: Exception | None) -> None:
        if not self._lost:
            self._lost = True
            self._network.note(self._name, None)
            self.protocol.connection_lost(error)
