"""MQTT bytes in, messages out: framing and the PUBLISH packet, sans-IO. Every other packet is left to paho.

Ours because it is the hot path: paho reads each packet with four recv calls and builds a property table for every
message. A packet beyond the bound is not kept whole: its head comes out, with how much is missing.
Source: MQTT 5.0 and 3.1.1, sections 2.1, 2.2.2 and 3.3.
"""

from __future__ import annotations

from typing import Final

import msgspec

from hubqueue.errors import ProtocolError
from hubqueue.mqttclient.message import NO_EXTRAS, Extras, Message

PUBLISH: Final = 0x30
PUBACK: Final = 0x40
QOS_1: Final = 0x02  # the bits in a PUBLISH header
QOS_2: Final = 0x04

_MAX_LENGTH_BYTES: Final = 4
_FIXED: Final = {1: 1, 2: 4, 35: 2}  # property to its width in bytes: format indicator, expiry, topic alias
_CONTENT_TYPE, _RESPONSE_TOPIC, _CORRELATION, _SUBSCRIPTION, _USER = 3, 8, 9, 11, 38


class Packet(msgspec.Struct, frozen=True, gc=False):
    """One MQTT packet. Units: missing bytes at the end that were beyond the bound."""

    header: int
    body: bytes
    missing: int = 0


class Splitter:
    """Cuts a stream of bytes into packets. Units: max_bytes of a body."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._skip = 0  # bytes of an oversized packet that are still to come

    def feed(self, data: bytes) -> list[Packet]:
        """The packets that these bytes complete. Errors: ProtocolError."""
        buffer = self._buffer
        buffer += data
        packets: list[Packet] = []
        at, size = 0, len(buffer)
        while True:
            if self._skip:
                step = min(self._skip, size - at)
                at += step
                self._skip -= step
            if size - at < 2:
                break
            length = buffer[at + 1]
            start = at + 2
            if length >= 0x80:
                long = _length(buffer, at + 1)
                if long is None:
                    break
                length, start = long
            kept = min(length, self._max_bytes)
            if size - start < kept:
                break
            packets.append(Packet(buffer[at], bytes(buffer[start : start + kept]), length - kept))
            at = start + kept
            self._skip = length - kept
        del buffer[:at]
        return packets


def read_publish(packet: Packet, *, five: bool) -> Message:
    """The message of a PUBLISH packet of QoS 0 or 1. Errors: ProtocolError."""
    header, body = packet.header, packet.body
    try:
        at = 2 + (body[0] << 8 | body[1])
        topic = body[2:at].decode(errors="replace")
        qos = header >> 1 & 3
        mid = 0
        if qos:
            mid = body[at] << 8 | body[at + 1]
            at += 2
        extras = NO_EXTRAS
        ids: tuple[int, ...] = ()
        if five:
            if body[at] == 2 and body[at + 1] == _SUBSCRIPTION and body[at + 2] < 0x80:  # nearly always
                ids = (body[at + 2],)
                at += 3
            elif body[at]:
                length, at = _varint(body, at)
                extras, ids = _properties(body[at : at + length])
                at += length
            else:
                at += 1
    except IndexError as error:
        raise ProtocolError("the broker sent a PUBLISH that is too short") from error
    return Message(topic, body[at:], qos, bool(header & 1), bool(header & 8), mid, extras, packet.missing, ids)


def pubacks(mids: list[int]) -> bytes:
    """The acknowledgements of these messages, one packet each."""
    return b"".join([b"\x40\x02" + mid.to_bytes(2, "big") for mid in mids])


def _properties(block: bytes) -> tuple[Extras, tuple[int, ...]]:
    """The properties of a PUBLISH that a job may carry, and the subscriptions it came through.

    Of a repeated user property the last value counts.
    """
    at, end = 0, len(block)
    ids: list[int] = []
    user: dict[str, str] = {}
    texts: dict[int, str] = {}
    correlation: bytes | None = None
    while at < end:
        kind = block[at]
        at += 1
        if kind in _FIXED:
            at += _FIXED[kind]
        elif kind == _SUBSCRIPTION:
            id, at = _varint(block, at)
            ids.append(id)
        elif kind == _USER:
            key, at = _string(block, at)
            value, at = _string(block, at)
            user[key.decode(errors="replace")] = value.decode(errors="replace")
        elif kind == _CORRELATION:
            correlation, at = _string(block, at)
        elif kind in (_CONTENT_TYPE, _RESPONSE_TOPIC):
            text, at = _string(block, at)
            texts[kind] = text.decode(errors="replace")
        else:
            raise ProtocolError(f"the broker sent a PUBLISH with property {kind}")
    if not (user or texts) and correlation is None:
        return NO_EXTRAS, tuple(ids)
    extras = Extras(user or None, texts.get(_CONTENT_TYPE), texts.get(_RESPONSE_TOPIC), correlation)
    return extras, tuple(ids)


def _string(block: bytes, at: int) -> tuple[bytes, int]:
    start = at + 2
    end = start + (block[at] << 8 | block[at + 1])
    if end > len(block):
        raise IndexError
    return block[start:end], end


def _varint(block: bytes | bytearray, at: int) -> tuple[int, int]:
    """A variable byte integer and where it ends."""
    found = _length(block, at)
    if found is None:
        raise IndexError
    return found


def _length(block: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """A variable byte integer and where it ends; None while bytes are missing."""
    value = shift = 0
    for step in range(_MAX_LENGTH_BYTES):
        if at + step >= len(block):
            return None
        byte = block[at + step]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + step + 1
        shift += 7
    raise ProtocolError("the broker sent a packet length of more than four bytes")
