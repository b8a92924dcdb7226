"""An MQTT broker that does what a test says, right or wrong: real ones do not break the rules when asked to.

`async with ScriptedBroker(script) as broker`: script(client) runs for each client once it is connected; every
SUBSCRIBE, UNSUBSCRIBE, PINGREQ and QoS 1 PUBLISH is answered by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Self

from hubqueue.mqttclient.packets import Packet, Splitter

CONNECT, PUBLISH, PUBACK, SUBSCRIBE, UNSUBSCRIBE, PINGREQ, DISCONNECT = 1, 3, 4, 8, 10, 12, 14


class Client:
    """A client as its broker sees it. subscribed: filter to identifier, 0 without."""

    def __init__(self, writer: asyncio.StreamWriter, *, named: bool, present: bool) -> None:
        self.id = ""
        self.five = False
        self.subscribed: dict[str, int] = {}
        self.acknowledged: list[int] = []
        self.asked = asyncio.Event()  # to be subscribed, and it is
        self.ended = asyncio.Event()
        self._writer = writer
        self._named = named
        self._present = present

    def publish(self, mid: int, topic: str, payload: bytes, *, again: bool = False, ids: tuple[int, ...] = ()) -> None:
        """Send a QoS 1 message under this packet id."""
        block = b"".join(b"\x0b" + bytes([id]) for id in ids)
        properties = bytes([len(block)]) + block if self.five else b""
        name = topic.encode()
        body = len(name).to_bytes(2, "big") + name + mid.to_bytes(2, "big") + properties + payload
        self._send(0x32 | (8 if again else 0), body)

    def cut(self) -> None:
        self._writer.transport.abort()

    def take(self, packet: Packet) -> None:
        kind, body = packet.header >> 4, packet.body
        if kind == CONNECT:
            self._connect(body)
        elif kind == SUBSCRIBE:
            self._subscribe(body)
        elif kind == UNSUBSCRIBE:
            for name in self._filters(body[2 + self.five :], 0):
                self.subscribed.pop(name, None)
            self._send(0xB0, body[:2] + (b"\x00\x00" if self.five else b""))
        elif kind == PUBLISH and packet.header & 6:
            at = 2 + int.from_bytes(body[:2], "big")
            self._send(0x40, body[at : at + 2])
        elif kind == PUBACK:
            self.acknowledged.append(int.from_bytes(body[:2], "big"))
        elif kind == PINGREQ:
            self._send(0xD0, b"")

    def _connect(self, body: bytes) -> None:
        self.five = body[6] == 5
        at = 10
        if self.five:
            at += 1 + body[at]
        size = int.from_bytes(body[at : at + 2], "big")
        self.id = body[at + 2 : at + 2 + size].decode()
        properties = b"" if not self.five else b"\x00" if self._named else b"\x02\x29\x00"
        self._send(0x20, bytes([self._present, 0]) + properties)

    def _subscribe(self, body: bytes) -> None:
        at, id = 2, 0
        if self.five:
            end = at + 1 + body[at]
            if body[at]:
                id = body[at + 2]
            at = end
        found = self._filters(body[at:], 1)
        self.subscribed |= dict.fromkeys(found, id)
        self.asked.set()
        self._send(0x90, body[:2] + (b"\x00" if self.five else b"") + b"\x01" * len(found))

    def _filters(self, rest: bytes, options: int) -> list[str]:
        found, at = [], 0
        while at < len(rest):
            size = int.from_bytes(rest[at : at + 2], "big")
            found.append(rest[at + 2 : at + 2 + size].decode())
            at += 2 + size + options
        return found

    def _send(self, header: int, body: bytes) -> None:
        length, left = bytearray(), len(body)
        while True:
            left, digit = left // 128, left % 128
            length.append(digit | (0x80 if left else 0))
            if not left:
                break
        self._writer.write(bytes([header]) + bytes(length) + body)


class ScriptedBroker:
    """named: whether it says that it knows subscription identifiers."""

    def __init__(self, script: Callable[[Client], Awaitable[None]] | None = None, *, named: bool = True) -> None:
        self.clients: list[Client] = []
        self.keeps_sessions = True
        self.port = 0
        self._script = script
        self._named = named
        self._tasks: list[asyncio.Task[None]] = []

    def of(self, client_id: str) -> Client | None:
        """The present connection of this client."""
        return next((each for each in reversed(self.clients) if each.id == client_id and not each.ended.is_set()), None)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for client in self.clients:
            client.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = Client(writer, named=self._named, present=self.keeps_sessions and bool(self.clients))
        splitter = Splitter(1_000_000)
        try:
            while data := await reader.read(65_536):
                for packet in splitter.feed(data):
                    client.take(packet)
                    if packet.header >> 4 == CONNECT:
                        self.clients.append(client)
                        if self._script is not None:
                            self._tasks.append(asyncio.ensure_future(self._script(client)))
        except ConnectionError:
            pass
        finally:
            client.ended.set()
            writer.close()
