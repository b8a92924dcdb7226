"""Frames of the TCP protocol: a big-endian u32 length, then that many bytes of MessagePack.

Sans-IO: bytes in, frame bodies out. Used by the server and by the client. The one rule: the length is judged
by its header alone, before a single byte of the body is kept.
Source: docs/protocol.md, "Frames".
"""

from __future__ import annotations

from typing import Final

from hubqueue.model.limits import MAX_FRAME_BYTES

HEADER_BYTES: Final = 4


def frame(body: bytes) -> bytes:
    """The body with its length in front."""
    return len(body).to_bytes(HEADER_BYTES, "big") + body


class FrameReader:
    """Collects bytes until frames are complete; `partial` is the beginning of a frame that waits for its rest.

    `oversized` is the length of a frame that went beyond `limit`; from then on every byte is ignored.
    """

    __slots__ = ("_wanted", "limit", "oversized", "partial")

    def __init__(self, limit: int = MAX_FRAME_BYTES) -> None:
        self.limit = limit
        self.oversized: int | None = None
        self.partial = bytearray()
        self._wanted = HEADER_BYTES

    def feed(self, chunk: bytes) -> list[bytes]:
        """The bodies of the frames that this chunk completes."""
        if self.oversized is not None:
            return []
        if self.partial:
            self.partial += chunk
            if len(self.partial) < self._wanted:
                return []
            chunk, self.partial = bytes(self.partial), bytearray()
        bodies: list[bytes] = []
        used, size = 0, len(chunk)
        self._wanted = HEADER_BYTES
        while size - used >= HEADER_BYTES:
            start = used + HEADER_BYTES
            length = int.from_bytes(chunk[used:start], "big")
            if length > self.limit:
                self.oversized = length
                return bodies
            if size - start < length:
                self._wanted = HEADER_BYTES + length
                break
            used = start + length
            bodies.append(chunk[start:used])
        if used < size:
            self.partial = bytearray(chunk[used:])
        return bodies
