"""What a WebSocket client may send before it has shown a token: messages of 64 KiB, judged by the headers of frames.

aiohttp has one bound for the whole life of a connection and keeps a message until it is complete. So as long as
nobody knows who it is, every byte passes here first; afterwards none does.
Source: RFC 6455, section 5.2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

MAX_STRANGER_BYTES: Final = 64 * 1024  # one message, as a frame of a stranger over TCP

FINAL: Final = 0x80
CONTROL: Final = 0x08  # close, ping, pong: at most 125 bytes, and between the parts of a message
MASKED: Final = 0x80
WIDE: Final = {126: 2, 127: 8}  # these lengths stand for one in so many bytes behind


class Parser(Protocol):
    """What aiohttp gives the received bytes to."""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]: ...

    def feed_eof(self) -> None: ...


class Meter:
    """Follows the frames in a stream of bytes and keeps none of them. longest: bytes of the largest message so far."""

    def __init__(self) -> None:
        self.longest = 0
        self._header = bytearray()
        self._left = 0  # bytes of the frame that are still to come
        self._message = 0  # bytes of a message whose last part has not come yet

    def feed(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            if self._left:
                skipped = min(self._left, len(data) - at)
                self._left -= skipped
                at += skipped
            else:
                self._header.append(data[at])
                at += 1
                self._judge()

    def _judge(self) -> None:
        header = self._header
        if len(header) < 2:
            return
        length, wide = header[1] & ~MASKED, WIDE.get(header[1] & ~MASKED, 0)
        if len(header) < 2 + wide:
            return
        if wide:
            length = int.from_bytes(header[2:], "big")
        self._left = length + (4 if header[1] & MASKED else 0)
        if not header[0] & CONTROL:
            self._message += length
            self.longest = max(self.longest, self._message)
            if header[0] & FINAL:
                self._message = 0
        header.clear()


class PreAuthLimit:
    """Stands before aiohttp's parser: passes bytes on until a message is too long for a stranger, then calls refuse."""

    def __init__(self, parser: Parser, refuse: Callable[[], None]) -> None:
        self.parser = parser
        self._refuse = refuse
        self._meter = Meter()

    def note(self, data: bytes) -> bool:
        """Follow these bytes; whether the parser may have them."""
        refused = self._meter.longest > MAX_STRANGER_BYTES
        if not refused:
            self._meter.feed(data)
            if self._meter.longest > MAX_STRANGER_BYTES:
                self._refuse()
                refused = True
        return not refused

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        return self.parser.feed_data(data) if self.note(data) else (False, b"")

    def feed_eof(self) -> None:
        self.parser.feed_eof()
