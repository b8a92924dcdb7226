"""MQTT 3.1.1 load at QoS 1: packets encoded beforehand over a blocking socket, a window of them unacknowledged.

Just the four packets that this takes (CONNECT, CONNACK, PUBLISH, PUBACK); a client library would be the limit.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

PACKET_IDS = 65_535
PUBACK_BYTES = 4


def _field(value: bytes) -> bytes:
    return len(value).to_bytes(2, "big") + value


def _packet(kind: int, body: bytes) -> bytes:
    size, length = bytearray(), len(body)
    while True:
        length, low = divmod(length, 128)
        size.append(low | (0x80 if length else 0))
        if not length:
            return bytes([kind]) + bytes(size) + body


def connect(client_id: str) -> bytes:
    """A CONNECT with a clean session and no keep-alive."""
    return _packet(0x10, _field(b"MQTT") + b"\x04\x02\x00\x00" + _field(client_id.encode()))


def publish(topic: str, payload: bytes, number: int) -> bytes:
    """A PUBLISH at QoS 1; the packet id follows from its place among the others."""
    packet_id = (number % PACKET_IDS + 1).to_bytes(2, "big")
    return _packet(0x32, _field(topic.encode()) + packet_id + payload)


def send(port: int, packets: Sequence[bytes], window: int) -> None:
    """Publishes all of them and returns when the broker has acknowledged each."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire.sendall(connect("load"))
        answer = wire.recv(4)
        if answer != b"\x20\x02\x00\x00":
            raise ConnectionError(f"the broker refused the load: {answer.hex()}")
        sent = acknowledged = spare = 0
        while acknowledged < len(packets):
            until = min(acknowledged + window, len(packets))
            if until > sent:
                wire.sendall(b"".join(packets[sent:until]))
                sent = until
            chunk = wire.recv(1 << 16)
            if not chunk:
                raise ConnectionError("the broker closed the connection of the load")
            whole, spare = divmod(spare + len(chunk), PUBACK_BYTES)
            acknowledged += whole
