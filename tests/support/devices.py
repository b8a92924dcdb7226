"""`python -m support.devices PORT DEVICES EACH`: devices that were away come back at once and flood.

Each has kept its messages meanwhile. Each is one MQTT 3.1.1 connection, just bytes on a socket: thousands fit into one
process, where a client library would be the limit. A device sends its messages at QoS 1, as the broker takes them; what
was not acknowledged is sent again over a new connection, as devices do. Says `ready`, starts at the first line that it
hears, and ends when all is acknowledged.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from collections.abc import Sequence
from typing import Final, cast

import uvloop

from bench.publisher import connect, publish

CONNACK_BYTES: Final = 4
PUBACK_BYTES: Final = 4
RETRY_S: Final = 0.5
# Mosquitto listens with a backlog of 100: of a connection beyond it the kernel drops the last step of the handshake,
# the device believes itself connected, and learns otherwise when the kernel has given up, a minute later
AT_THE_DOOR: Final = 80


def message(device: int, index: int, each: int) -> tuple[str, bytes]:
    """Topic and payload; `id` is its number among all messages of all devices."""
    body = {"id": device * each + index, "device": f"d{device}", "temperature": 20 + index % 10, "at": 1_700_000_000}
    return f"sensors/d{device}/climate", json.dumps(body).encode()


def allow_connections(count: int) -> None:
    """Let this process, and those it starts, have so many sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count + 200:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count + 200, hard), hard))


class Device(asyncio.Protocol):
    """One connection of a device: log in, send what is left, count what is acknowledged."""

    def __init__(self, name: str, packets: Sequence[bytes]) -> None:
        self._name = name
        self._packets = packets
        self._heard = bytearray()
        self.acknowledged = 0
        self.welcome = asyncio.Event()
        self.ended = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(connect(self._name))

    def data_received(self, data: bytes) -> None:
        self._heard += data
        if not self.welcome.is_set() and len(self._heard) >= CONNACK_BYTES:
            assert self._heard[:CONNACK_BYTES] == b"\x20\x02\x00\x00", self._heard
            del self._heard[:CONNACK_BYTES]
            self.welcome.set()
            self._transport.writelines(self._packets)
        if self.welcome.is_set():
            whole = len(self._heard) // PUBACK_BYTES
            del self._heard[: whole * PUBACK_BYTES]
            self.acknowledged += whole
            if self.acknowledged == len(self._packets):
                self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.welcome.set()
        self.ended.set()


async def live(port: int, device: int, each: int, door: asyncio.Semaphore) -> None:
    """Until all its messages are acknowledged, over as many connections as it takes."""
    left = [publish(*message(device, index, each), index) for index in range(each)]
    while left:
        try:
            held = await connected(port, Device(f"device-{device}", left), door)
        except OSError:
            await asyncio.sleep(RETRY_S)
            continue
        await held.ended.wait()
        left = left[held.acknowledged :]  # a broker acknowledges in the order of receipt


async def connected(port: int, device: Device, door: asyncio.Semaphore) -> Device:
    """Once the broker has welcomed it, or closed the connection. Errors: OSError."""
    async with door:
        await asyncio.get_running_loop().create_connection(lambda: device, "127.0.0.1", port)
        await device.welcome.wait()
    return device


async def flood(port: int, devices: int, each: int) -> None:
    print(json.dumps("ready"), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    door = asyncio.Semaphore(AT_THE_DOOR)
    async with asyncio.TaskGroup() as tasks:
        for device in range(devices):
            tasks.create_task(live(port, device, each, door))
    print(json.dumps("done"), flush=True)


if __name__ == "__main__":
    port, devices, each = map(int, sys.argv[1:])
    allow_connections(devices)
    uvloop.run(flood(port, devices, each))
